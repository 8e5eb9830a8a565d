"""LitServe with ONNX Runtime. It has as many workers as Inkling, which share the cores."""

import os

import litserve
import onnxruntime

from benchmarks.peers import digit

WORKERS = int(os.environ["WEB_CONCURRENCY"])


class Digits(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, os.cpu_count() // WORKERS)
        self._session = onnxruntime.InferenceSession(f"{digit.FOLDER}/model.onnx", options)
        self._input = self._session.get_inputs()[0].name

    def decode_request(self, request):
        return digit.read(request["image"].file)

    def predict(self, x):
        return self._session.run(None, {self._input: x})[0][0]

    def encode_response(self, output):
        return {"label": int(output.argmax()), "probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Digits(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
