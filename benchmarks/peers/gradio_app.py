"""Gradio with ONNX Runtime. Its queue is off, because it needs three requests per answer."""

import os

import gradio
import onnxruntime

from benchmarks.peers import drawing

session = onnxruntime.InferenceSession(f"{drawing.FOLDER}/model.onnx")
output = drawing.probabilities_of([output.name for output in session.get_outputs()])


def predict(image):
    probabilities = session.run([output], {session.get_inputs()[0].name: drawing.prepare(image)})[0][0]
    return dict(zip(drawing.CARD["labels"], map(float, probabilities), strict=True))


with gradio.Blocks(analytics_enabled=False) as demo:
    picture, answer = gradio.Image(type="pil"), gradio.Label()
    picture.change(predict, picture, answer, queue=False, api_name="predict")

demo.launch(server_port=int(os.environ["PORT"]), quiet=True)
