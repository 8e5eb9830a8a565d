"""Flask with `model.predict`; the model is loaded once."""

import keras
from flask import Flask, request

from benchmarks.peers import drawing

app = Flask(__name__)
model = keras.saving.load_model(f"{drawing.FOLDER}/model.keras", compile=False)


@app.post("/predict")
def predict():
    probabilities = model.predict(drawing.read(request.files["image"].stream), verbose=0)[0][0]
    return drawing.answer(probabilities)
