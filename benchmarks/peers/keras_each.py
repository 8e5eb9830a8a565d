"""Flask with `model.predict`; each request loads the model."""

import keras
from flask import Flask, request

from benchmarks.peers import drawing

app = Flask(__name__)


@app.post("/predict")
def predict():
    model = keras.saving.load_model(f"{drawing.FOLDER}/model.keras", compile=False)
    probabilities = model.predict(drawing.read(request.files["image"].stream), verbose=0)[0][0]
    return drawing.answer(probabilities)
