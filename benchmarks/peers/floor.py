"""The floor: an empty Flask route that reads the upload."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    return {"bytes": len(request.files["image"].read())}
