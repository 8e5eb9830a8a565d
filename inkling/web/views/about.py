"""What this server says about itself: what it keeps of visitors, and, for programs, what to crawl and whom to tell."""

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, Response, abort, current_app, render_template
from flask_babel import gettext

from inkling.access import SESSION_PERIOD
from inkling.pictures.encode import LARGEST
from inkling.storage import UNDO_PERIOD
from inkling.web import cookies, service
from inkling.web.edge import access, language, session

blueprint = Blueprint("about", __name__)

# Pages that compute something are not for crawlers. Those that are private say so themselves (`X-Robots-Tag`), which a
# crawler must be able to read.
ROBOTS = """\
User-agent: *
Disallow: /api/
Disallow: /lab
Disallow: /results/*/
Allow: /results/*/card.png$
Disallow: /*?model=
"""
VALID = timedelta(days=30)  # how long a program may believe a copy of security.txt


@blueprint.get("/privacy")
def privacy() -> str:
    """What this server keeps of visitors, for how long by its settings, and how to delete it."""
    settings = service().settings
    return render_template(
        "privacy.html",
        largest=LARGEST,
        days=settings.retention_days,
        quota=settings.quota_mb,
        undo_minutes=UNDO_PERIOD // timedelta(minutes=1),
        cookies=[
            (
                current_app.config["SESSION_COOKIE_NAME"],
                gettext("makes what you send yours, so that you find it in your history and can delete it"),
                session.LIFETIME.days,
            ),
            (language.COOKIE, gettext("remembers which language you chose"), cookies.LIFETIME.days),
            (cookies.THEME, gettext("remembers whether you chose light or dark"), cookies.LIFETIME.days),
            (access.COOKIE, gettext("keeps you signed in, if you sign in"), SESSION_PERIOD.days),
        ],
        audit_log=settings.audit_log,
        mqtt=bool(settings.mqtt_url),
        mqtt_pictures=settings.mqtt_pictures == "yes",
        contact=settings.contact,
    )


@blueprint.get("/robots.txt")
def robots() -> Response:
    """What crawlers may ask."""
    return Response(ROBOTS, mimetype="text/plain")


@blueprint.get("/.well-known/security.txt")
def security_txt() -> Response:
    """Whom to tell about a flaw (RFC 9116); 404 if the operator has named no contact."""
    contact = service().settings.contact or abort(404, gettext("The operator of this server has named no contact."))
    expires = datetime.combine(datetime.now(UTC) + VALID, time(), UTC)
    return Response(f"Contact: {contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\n", mimetype="text/plain")
