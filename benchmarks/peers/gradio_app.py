"""Gradio with ONNX Runtime. Its queue is off, because it needs three requests per answer."""

import os

import gradio
import onnxruntime

from benchmarks.peers import digit

session = onnxruntime.InferenceSession(f"{digit.FOLDER}/model.onnx")


def predict(image):
    probabilities = session.run(None, {session.get_inputs()[0].name: digit.prepare(image)})[0][0]
    return {str(label): float(probability) for label, probability in enumerate(probabilities)}


with gradio.Blocks(analytics_enabled=False) as demo:
    picture, answer = gradio.Image(type="pil"), gradio.Label()
    picture.change(predict, picture, answer, queue=False, api_name="predict")

demo.launch(server_port=int(os.environ["PORT"]), quiet=True)
