"""The floor: empty Flask routes that read an upload, or a body."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    return {"bytes": len(request.files["image"].read())}


@app.post("/body")
def body():
    return {"bytes": len(request.get_data())}
