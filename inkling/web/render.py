"""Pages that more than one view renders: a result and a batch, saved or not."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

from flask import render_template, url_for
from flask_babel import gettext

from inkling import problems
from inkling.ask.intents import LONGEST
from inkling.pictures.encode import THUMBNAIL
from inkling.recognition import stages
from inkling.recognition.card import ModelCard
from inkling.service import Outcome
from inkling.storage import Batch, Entry, Result
from inkling.web import asked, labels, service
from inkling.web.edge import language
from inkling.web.ownership import CORRECT, may_change, may_delete

TOP = 5  # answers shown before the fold


def unsaved_page(outcomes: Sequence[Outcome], model: str | None) -> str:
    """The page of outcomes that were not saved; their pictures are part of the page."""
    results = [outcome.unsaved_result for outcome in outcomes]
    if len(outcomes) == 1 and results[0]:
        return result_page(results[0], outcomes[0].data_url())
    entries = [outcome.entry for outcome in outcomes]
    return batch_page(
        Batch("", datetime.now(UTC), model, entries),
        list(zip(entries, results, strict=True)),
        thumbnails=[outcome.data_url(THUMBNAIL) for outcome in outcomes],
    )


def result_page(result: Result, picture_url: str | None, saved: Result | None = None) -> str:
    """The page of one result.

    Args:
        picture_url: where its picture is: its address, or a data URL.
        saved: the saved result of the same picture, if `result` is the answer of a model that was asked afterwards.
    """
    saved = saved or (result if result.id else None)
    ranked = result.predictions
    shown = SimpleNamespace(
        id=result.id,
        label=result.label,
        confidence=result.confidence,
        sure=result.sure,
        kind=result.kind,
        format=result.format,
        wording=result.wording,
        familiar=result.familiar,
        group=result.group,
        route=result.route,
        asked=result.asked,
        predictions=ranked[:TOP],
        rest=ranked[TOP:],
        created=result.created,
        milliseconds=result.milliseconds,
        model=result.model,
        correction=result.correction,
        expires=service().storage.expires(result),
        picture_url=picture_url,
        batch=visible_batch(result),
        mine=bool(result.id) and may_change(result),
        correctable=bool(result.id) and may_change(result, CORRECT),
        size=service().picture_size(saved) if saved else None,
    )
    catalog = service().predictor.catalog
    model = catalog.find(result.model)
    card = model and model.card
    known = labels.all_of(result)
    search = len(known) > labels.FEW
    offered = [label for label in (known[: labels.LIKELIEST] if search else known) if label != result.label]
    way = "draw" if result.kind == "drawing" else None
    return render_template(
        "result.html",
        result=shown,
        certainty=in_words(result)[1],
        card=card,
        titles={name: found.card.title for name in result.asked if (found := catalog.find(name))},
        off=catalog.current(result.model) in catalog.broken,
        others=[other.title for other in other_models(result)],
        questions=asked.offers(result),
        longest=LONGEST,
        stages=card and SimpleNamespace(steps=stages.names(card), layers=stages.has_layers(card)),
        offered=offered,
        search=search,
        saved=saved,
        choices=catalog.by_task("ink" if result.kind == "drawing" else None),
        chosen=None if result.route else result.model,
        again_url=url_for("recognize.index", way=way, model=None if result.route else result.model),
    )


def in_words(result: Result) -> tuple[str, str]:
    """A result's label, and how sure the answer is."""
    name = language.label(result.label)
    share = f"{min(max(result.confidence, 0.01), 0.99):.0%}"
    if not result.familiar:
        return gettext("What is it?"), gettext("The closest thing it knows: %(label)s", label=name)
    if result.sure:
        more = result.confidence > 0.99
        note = gettext("More than 99% sure") if more else gettext("%(share)s sure", share=share)
    elif result.wording == "probably":
        note = gettext("Fairly sure: %(share)s", share=share)
    else:
        note = gettext("Just a guess: %(share)s", share=share)
    return name[:1].upper() + name[1:] + ("" if result.sure else "?"), note


def batch_page(
    batch: Batch,
    entries: Sequence[tuple[Entry, Result | None]],
    sort: str = "sent",
    thumbnails: Sequence[str | None] | None = None,
) -> str:
    """The page of several pictures that were sent together.

    Args:
        entries: each picture with its result, if it has one.
        thumbnails: data URLs of pictures that were not saved.
    """
    model = batch.model and service().predictor.catalog.find(batch.model)
    reasons = {
        entry.reason: (
            gettext(problems.REASONS[entry.reason].title),
            problems.advice(entry.reason, service().settings, gettext),
        )
        for entry, _ in entries
        if entry.reason
    }
    return render_template(
        "batch.html",
        batch=batch,
        entries=entries,
        sort=sort,
        counts=Counter(result and result.label for _, result in entries),
        problems=reasons,
        thumbnails=thumbnails,
        card=model and model.card,
        mine=bool(batch.id) and may_delete(batch),
        in_words=in_words,
    )


def visible_batch(result: Result) -> str | None:
    """The id of a result's batch, for its owner: a link to one result does not disclose the others."""
    return result.batch if may_change(result) else None


def other_models(result: Result) -> list[ModelCard]:
    """The models whose answers can be compared with a result's, most accurate first."""
    known = [label for label, _ in result.predictions]
    return service().predictor.catalog.others(result.model, result.task, known)
