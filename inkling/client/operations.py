"""The operations of the API, written by `python -m tools.client` from the OpenAPI document."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from .shapes import (
    Added,
    Answered,
    Change,
    ChatTurn,
    Classifier,
    Classifiers,
    Examples,
    Explanation,
    Label,
    Models,
    NewWebhook,
    Progress,
    RenamedLabel,
    Result,
    Review,
    Sources,
    Version,
    Versions,
    Webhook,
)
from .transport import Call, Picture, given


class Operations:
    """The operations of the API."""

    def _send(self, call: Call) -> Any:
        raise NotImplementedError

    def models(self) -> Models:
        """Lists the models that can be asked."""
        return self._send(Call("GET", "/api/models", changes=False))

    def predict(
        self, picture: Picture, *, model: str | None = None, top: int | None = None, source: str | None = None
    ) -> Result:
        """Says what is in a picture or a drawing. The picture is the path of a file, the bytes of one, or a
        drawing.
        """
        return self._send(
            Call(
                "POST",
                "/api/predict",
                changes=False,
                pictures=[picture],
                query={"model": model, "top": top, "source": source},
            )
        )

    def explain(
        self, picture: Picture, *, model: str | None = None, overlay: Literal[0, 1] | None = None
    ) -> Explanation:
        """Says which parts of a picture its answer depends on. The picture is the path of a file, the bytes of
        one, or a drawing.
        """
        return self._send(
            Call("POST", "/api/explain", changes=False, pictures=[picture], query={"model": model, "overlay": overlay})
        )

    def ask(self, *, question: str, result: str | None = None) -> Answered:
        """Answers a question about a saved result, or about this Inkling."""
        return self._send(
            Call("POST", "/api/ask", changes=False, json={"question": question} | given({"result": result}))
        )

    def chat(self, *, question: str, result: str | None = None, history: list[ChatTurn] | None = None) -> bytes:
        """Asks a language model about a saved result, or about this Inkling."""
        return self._send(
            Call(
                "POST",
                "/api/chat",
                changes=True,
                json={"question": question} | given({"result": result, "history": history}),
                answer="file",
            )
        )

    def classifiers(self) -> Classifiers:
        """Lists your classifiers, newest first."""
        return self._send(Call("GET", "/api/classifiers", changes=False))

    def create_classifier(self, *, title: str, kind: Literal["photo", "ink"] | None = None) -> Classifier:
        """Creates a classifier without examples."""
        return self._send(Call("POST", "/api/classifiers", changes=True, json={"title": title} | given({"kind": kind})))

    def classifier(self, id: str) -> Classifier:
        """Returns a classifier with its labels."""
        return self._send(Call("GET", "/api/classifiers/{id}", changes=False, parts={"id": id}))

    def update_classifier(
        self, id: str, *, title: str | None = None, listed: bool | None = None, auto: bool | None = None
    ) -> Classifier:
        """Changes the title of a classifier, and who finds it."""
        return self._send(
            Call(
                "PATCH",
                "/api/classifiers/{id}",
                changes=True,
                parts={"id": id},
                json=given({"title": title, "listed": listed, "auto": auto}),
            )
        )

    def delete_classifier(self, id: str) -> None:
        """Deletes a classifier with its pictures and versions."""
        self._send(Call("DELETE", "/api/classifiers/{id}", changes=True, parts={"id": id}, answer="nothing"))

    def add_label(self, id: str, *, name: str) -> Label:
        """Adds a label."""
        return self._send(
            Call("POST", "/api/classifiers/{id}/labels", changes=True, parts={"id": id}, json={"name": name})
        )

    def rename_label(self, id: str, label: int, *, name: str) -> RenamedLabel:
        """Renames a label; `undo` takes it back."""
        return self._send(
            Call(
                "PATCH",
                "/api/classifiers/{id}/labels/{label}",
                changes=True,
                parts={"id": id, "label": label},
                json={"name": name},
            )
        )

    def delete_label(self, id: str, label: int) -> Change:
        """Deletes a label and its examples; `undo` brings both back."""
        return self._send(
            Call("DELETE", "/api/classifiers/{id}/labels/{label}", changes=True, parts={"id": id, "label": label})
        )

    def examples(
        self, id: str, *, label: int | Literal["none"] | None = None, after: str | None = None, limit: int | None = None
    ) -> Examples:
        """Lists examples, oldest first."""
        return self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples",
                changes=False,
                parts={"id": id},
                query={"label": label, "after": after, "limit": limit},
            )
        )

    def add_examples(
        self,
        id: str,
        pictures: Sequence[Picture] = (),
        *,
        zip: str | os.PathLike[str] | None = None,
        label: str | None = None,
        origin: Literal["file", "camera", "canvas"] | None = None,
    ) -> Added:
        """Adds pictures: one as JSON, several as a form, or a zip whose folders name the labels. Each picture
        that is refused has an `error` in its place.
        """
        return self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples",
                changes=True,
                parts={"id": id},
                pictures=pictures,
                archive=zip,
                form={"label": label, "origin": origin},
            )
        )

    def move_examples(self, id: str, *, examples: list[str], label: int | None) -> Change:
        """Gives examples another label, or none."""
        return self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples/move",
                changes=True,
                parts={"id": id},
                json={"examples": examples, "label": label},
            )
        )

    def delete_examples(self, id: str, *, examples: list[str]) -> Change:
        """Deletes examples; `undo` brings them back for a day."""
        return self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples/delete",
                changes=True,
                parts={"id": id},
                json={"examples": examples},
            )
        )

    def undo_change(self, id: str, *, change: str) -> None:
        """Undoes a change of examples or labels, once and within a day."""
        self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/undo",
                changes=True,
                parts={"id": id},
                json={"change": change},
                answer="nothing",
            )
        )

    def example_picture(self, id: str, example: str) -> bytes:
        """Returns the picture of an example."""
        return self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples/{example}/picture",
                changes=False,
                parts={"id": id, "example": example},
                answer="file",
            )
        )

    def example_thumbnail(self, id: str, example: str) -> bytes:
        """Returns the picture of an example at no more than 256 pixels a side."""
        return self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples/{example}/thumbnail",
                changes=False,
                parts={"id": id, "example": example},
                answer="file",
            )
        )

    def training(self, id: str) -> Progress | None:
        """Says how far the training is; null while there is nothing to do."""
        return self._send(Call("GET", "/api/classifiers/{id}/train", changes=False, parts={"id": id}))

    def train(self, id: str) -> Progress:
        """Begins a training now. After a change of examples, it begins by itself."""
        return self._send(Call("POST", "/api/classifiers/{id}/train", changes=True, parts={"id": id}))

    def cancel_training(self, id: str) -> None:
        """Ends the training."""
        self._send(Call("DELETE", "/api/classifiers/{id}/train", changes=True, parts={"id": id}, answer="nothing"))

    def versions(self, id: str) -> Versions:
        """Lists the versions with their figures, newest first."""
        return self._send(Call("GET", "/api/classifiers/{id}/versions", changes=False, parts={"id": id}))

    def version(self, id: str, number: int) -> Version:
        """Returns a version with its whole report."""
        return self._send(
            Call("GET", "/api/classifiers/{id}/versions/{number}", changes=False, parts={"id": id, "number": number})
        )

    def publish(self, id: str, *, version: int) -> None:
        """Makes a version the one that answers, in every worker within a second. Also goes back to an older
        one.
        """
        self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/publish",
                changes=True,
                parts={"id": id},
                json={"version": version},
                answer="nothing",
            )
        )

    def unpublish(self, id: str) -> None:
        """Withdraws the published version, so that none answers."""
        self._send(Call("DELETE", "/api/classifiers/{id}/publish", changes=True, parts={"id": id}, answer="nothing"))

    def review(self, id: str) -> Review:
        """Lists what to look at next: doubtful labels, near-duplicates, and pictures to label."""
        return self._send(Call("GET", "/api/classifiers/{id}/review", changes=False, parts={"id": id}))

    def try_classifier(self, id: str, picture: Picture, *, top: int | None = None) -> Result:
        """Asks the newest version, published or not. Takes and returns what `/api/predict` does. The picture
        is the path of a file, the bytes of one, or a drawing.
        """
        return self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/try",
                changes=False,
                parts={"id": id},
                pictures=[picture],
                query={"top": top},
            )
        )

    def explain_classifier(self, id: str, picture: Picture, *, overlay: Literal[0, 1] | None = None) -> Explanation:
        """Says which parts of a picture the newest version's answer depends on, as `/api/explain` does. The
        picture is the path of a file, the bytes of one, or a drawing.
        """
        return self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/explain",
                changes=False,
                parts={"id": id},
                pictures=[picture],
                query={"overlay": overlay},
            )
        )

    def webhook(self, id: str) -> Webhook | None:
        """Returns where answers are sent; null if there is no webhook."""
        return self._send(Call("GET", "/api/classifiers/{id}/webhook", changes=False, parts={"id": id}))

    def set_webhook(self, id: str, *, url: str, events: Literal["all", "sure", "changed"] | None = None) -> NewWebhook:
        """Sends answers to an address from now on. Returns a new secret, which is shown only once."""
        return self._send(
            Call(
                "PUT",
                "/api/classifiers/{id}/webhook",
                changes=True,
                parts={"id": id},
                json={"url": url} | given({"events": events}),
            )
        )

    def delete_webhook(self, id: str) -> None:
        """Removes the webhook."""
        self._send(Call("DELETE", "/api/classifiers/{id}/webhook", changes=True, parts={"id": id}, answer="nothing"))

    def export(self, id: str, *, version: int | None = None, examples: Literal[0, 1] | None = None) -> bytes:
        """Returns a version as a zip: `model.onnx`, labels, card, figures, and a README with a program that
        uses it.
        """
        return self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/export.zip",
                changes=False,
                parts={"id": id},
                query={"version": version, "examples": examples},
                answer="file",
            )
        )

    def sources(self) -> Sources:
        """Lists the sources and their states."""
        return self._send(Call("GET", "/api/sources", changes=False))

    def delete_source(self, model: str, source: str) -> None:
        """Deletes a source."""
        self._send(
            Call(
                "DELETE",
                "/api/sources/{model}/{source}",
                changes=True,
                parts={"model": model, "source": source},
                answer="nothing",
            )
        )


class AsyncOperations:
    """`Operations` for asyncio."""

    async def _send(self, call: Call) -> Any:
        raise NotImplementedError

    async def models(self) -> Models:
        """Lists the models that can be asked."""
        return await self._send(Call("GET", "/api/models", changes=False))

    async def predict(
        self, picture: Picture, *, model: str | None = None, top: int | None = None, source: str | None = None
    ) -> Result:
        """Says what is in a picture or a drawing. The picture is the path of a file, the bytes of one, or a
        drawing.
        """
        return await self._send(
            Call(
                "POST",
                "/api/predict",
                changes=False,
                pictures=[picture],
                query={"model": model, "top": top, "source": source},
            )
        )

    async def explain(
        self, picture: Picture, *, model: str | None = None, overlay: Literal[0, 1] | None = None
    ) -> Explanation:
        """Says which parts of a picture its answer depends on. The picture is the path of a file, the bytes of
        one, or a drawing.
        """
        return await self._send(
            Call("POST", "/api/explain", changes=False, pictures=[picture], query={"model": model, "overlay": overlay})
        )

    async def ask(self, *, question: str, result: str | None = None) -> Answered:
        """Answers a question about a saved result, or about this Inkling."""
        return await self._send(
            Call("POST", "/api/ask", changes=False, json={"question": question} | given({"result": result}))
        )

    async def chat(self, *, question: str, result: str | None = None, history: list[ChatTurn] | None = None) -> bytes:
        """Asks a language model about a saved result, or about this Inkling."""
        return await self._send(
            Call(
                "POST",
                "/api/chat",
                changes=True,
                json={"question": question} | given({"result": result, "history": history}),
                answer="file",
            )
        )

    async def classifiers(self) -> Classifiers:
        """Lists your classifiers, newest first."""
        return await self._send(Call("GET", "/api/classifiers", changes=False))

    async def create_classifier(self, *, title: str, kind: Literal["photo", "ink"] | None = None) -> Classifier:
        """Creates a classifier without examples."""
        return await self._send(
            Call("POST", "/api/classifiers", changes=True, json={"title": title} | given({"kind": kind}))
        )

    async def classifier(self, id: str) -> Classifier:
        """Returns a classifier with its labels."""
        return await self._send(Call("GET", "/api/classifiers/{id}", changes=False, parts={"id": id}))

    async def update_classifier(
        self, id: str, *, title: str | None = None, listed: bool | None = None, auto: bool | None = None
    ) -> Classifier:
        """Changes the title of a classifier, and who finds it."""
        return await self._send(
            Call(
                "PATCH",
                "/api/classifiers/{id}",
                changes=True,
                parts={"id": id},
                json=given({"title": title, "listed": listed, "auto": auto}),
            )
        )

    async def delete_classifier(self, id: str) -> None:
        """Deletes a classifier with its pictures and versions."""
        await self._send(Call("DELETE", "/api/classifiers/{id}", changes=True, parts={"id": id}, answer="nothing"))

    async def add_label(self, id: str, *, name: str) -> Label:
        """Adds a label."""
        return await self._send(
            Call("POST", "/api/classifiers/{id}/labels", changes=True, parts={"id": id}, json={"name": name})
        )

    async def rename_label(self, id: str, label: int, *, name: str) -> RenamedLabel:
        """Renames a label; `undo` takes it back."""
        return await self._send(
            Call(
                "PATCH",
                "/api/classifiers/{id}/labels/{label}",
                changes=True,
                parts={"id": id, "label": label},
                json={"name": name},
            )
        )

    async def delete_label(self, id: str, label: int) -> Change:
        """Deletes a label and its examples; `undo` brings both back."""
        return await self._send(
            Call("DELETE", "/api/classifiers/{id}/labels/{label}", changes=True, parts={"id": id, "label": label})
        )

    async def examples(
        self, id: str, *, label: int | Literal["none"] | None = None, after: str | None = None, limit: int | None = None
    ) -> Examples:
        """Lists examples, oldest first."""
        return await self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples",
                changes=False,
                parts={"id": id},
                query={"label": label, "after": after, "limit": limit},
            )
        )

    async def add_examples(
        self,
        id: str,
        pictures: Sequence[Picture] = (),
        *,
        zip: str | os.PathLike[str] | None = None,
        label: str | None = None,
        origin: Literal["file", "camera", "canvas"] | None = None,
    ) -> Added:
        """Adds pictures: one as JSON, several as a form, or a zip whose folders name the labels. Each picture
        that is refused has an `error` in its place.
        """
        return await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples",
                changes=True,
                parts={"id": id},
                pictures=pictures,
                archive=zip,
                form={"label": label, "origin": origin},
            )
        )

    async def move_examples(self, id: str, *, examples: list[str], label: int | None) -> Change:
        """Gives examples another label, or none."""
        return await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples/move",
                changes=True,
                parts={"id": id},
                json={"examples": examples, "label": label},
            )
        )

    async def delete_examples(self, id: str, *, examples: list[str]) -> Change:
        """Deletes examples; `undo` brings them back for a day."""
        return await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/examples/delete",
                changes=True,
                parts={"id": id},
                json={"examples": examples},
            )
        )

    async def undo_change(self, id: str, *, change: str) -> None:
        """Undoes a change of examples or labels, once and within a day."""
        await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/undo",
                changes=True,
                parts={"id": id},
                json={"change": change},
                answer="nothing",
            )
        )

    async def example_picture(self, id: str, example: str) -> bytes:
        """Returns the picture of an example."""
        return await self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples/{example}/picture",
                changes=False,
                parts={"id": id, "example": example},
                answer="file",
            )
        )

    async def example_thumbnail(self, id: str, example: str) -> bytes:
        """Returns the picture of an example at no more than 256 pixels a side."""
        return await self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/examples/{example}/thumbnail",
                changes=False,
                parts={"id": id, "example": example},
                answer="file",
            )
        )

    async def training(self, id: str) -> Progress | None:
        """Says how far the training is; null while there is nothing to do."""
        return await self._send(Call("GET", "/api/classifiers/{id}/train", changes=False, parts={"id": id}))

    async def train(self, id: str) -> Progress:
        """Begins a training now. After a change of examples, it begins by itself."""
        return await self._send(Call("POST", "/api/classifiers/{id}/train", changes=True, parts={"id": id}))

    async def cancel_training(self, id: str) -> None:
        """Ends the training."""
        await self._send(
            Call("DELETE", "/api/classifiers/{id}/train", changes=True, parts={"id": id}, answer="nothing")
        )

    async def versions(self, id: str) -> Versions:
        """Lists the versions with their figures, newest first."""
        return await self._send(Call("GET", "/api/classifiers/{id}/versions", changes=False, parts={"id": id}))

    async def version(self, id: str, number: int) -> Version:
        """Returns a version with its whole report."""
        return await self._send(
            Call("GET", "/api/classifiers/{id}/versions/{number}", changes=False, parts={"id": id, "number": number})
        )

    async def publish(self, id: str, *, version: int) -> None:
        """Makes a version the one that answers, in every worker within a second. Also goes back to an older
        one.
        """
        await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/publish",
                changes=True,
                parts={"id": id},
                json={"version": version},
                answer="nothing",
            )
        )

    async def unpublish(self, id: str) -> None:
        """Withdraws the published version, so that none answers."""
        await self._send(
            Call("DELETE", "/api/classifiers/{id}/publish", changes=True, parts={"id": id}, answer="nothing")
        )

    async def review(self, id: str) -> Review:
        """Lists what to look at next: doubtful labels, near-duplicates, and pictures to label."""
        return await self._send(Call("GET", "/api/classifiers/{id}/review", changes=False, parts={"id": id}))

    async def try_classifier(self, id: str, picture: Picture, *, top: int | None = None) -> Result:
        """Asks the newest version, published or not. Takes and returns what `/api/predict` does. The picture
        is the path of a file, the bytes of one, or a drawing.
        """
        return await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/try",
                changes=False,
                parts={"id": id},
                pictures=[picture],
                query={"top": top},
            )
        )

    async def explain_classifier(
        self, id: str, picture: Picture, *, overlay: Literal[0, 1] | None = None
    ) -> Explanation:
        """Says which parts of a picture the newest version's answer depends on, as `/api/explain` does. The
        picture is the path of a file, the bytes of one, or a drawing.
        """
        return await self._send(
            Call(
                "POST",
                "/api/classifiers/{id}/explain",
                changes=False,
                parts={"id": id},
                pictures=[picture],
                query={"overlay": overlay},
            )
        )

    async def webhook(self, id: str) -> Webhook | None:
        """Returns where answers are sent; null if there is no webhook."""
        return await self._send(Call("GET", "/api/classifiers/{id}/webhook", changes=False, parts={"id": id}))

    async def set_webhook(
        self, id: str, *, url: str, events: Literal["all", "sure", "changed"] | None = None
    ) -> NewWebhook:
        """Sends answers to an address from now on. Returns a new secret, which is shown only once."""
        return await self._send(
            Call(
                "PUT",
                "/api/classifiers/{id}/webhook",
                changes=True,
                parts={"id": id},
                json={"url": url} | given({"events": events}),
            )
        )

    async def delete_webhook(self, id: str) -> None:
        """Removes the webhook."""
        await self._send(
            Call("DELETE", "/api/classifiers/{id}/webhook", changes=True, parts={"id": id}, answer="nothing")
        )

    async def export(self, id: str, *, version: int | None = None, examples: Literal[0, 1] | None = None) -> bytes:
        """Returns a version as a zip: `model.onnx`, labels, card, figures, and a README with a program that
        uses it.
        """
        return await self._send(
            Call(
                "GET",
                "/api/classifiers/{id}/export.zip",
                changes=False,
                parts={"id": id},
                query={"version": version, "examples": examples},
                answer="file",
            )
        )

    async def sources(self) -> Sources:
        """Lists the sources and their states."""
        return await self._send(Call("GET", "/api/sources", changes=False))

    async def delete_source(self, model: str, source: str) -> None:
        """Deletes a source."""
        await self._send(
            Call(
                "DELETE",
                "/api/sources/{model}/{source}",
                changes=True,
                parts={"model": model, "source": source},
                answer="nothing",
            )
        )
