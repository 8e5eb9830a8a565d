"""LitServe with ONNX Runtime. It has as many workers as Inkling, which share the cores."""

import os

import litserve
import onnxruntime

from benchmarks.peers import drawing

WORKERS = int(os.environ["WEB_CONCURRENCY"])


class Pictures(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, os.cpu_count() // WORKERS)
        self._session = onnxruntime.InferenceSession(f"{drawing.FOLDER}/model.onnx", options)
        self._input = self._session.get_inputs()[0].name
        self._output = drawing.probabilities_of([output.name for output in self._session.get_outputs()])

    def decode_request(self, request):
        return drawing.read(request["image"].file)

    def predict(self, x):
        return self._session.run([self._output], {self._input: x})[0][0]

    def encode_response(self, output):
        return drawing.answer(output)


if __name__ == "__main__":
    server = litserve.LitServer(Pictures(), accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
