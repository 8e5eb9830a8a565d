"""The HTTP edge: everything that each request passes before and after its view.

A request passes these parts from top to bottom, its response from bottom to top:

1. `proxies`: the client's address and scheme, as trusted proxies report them
2. `bodies`: the deadline for the body to arrive; what the view leaves unread is drained
3. `bodies`: limits on the size of a body, and on what a form holds in memory
4. `accesslog`, `metrics`: a request id, one log line, and the counts and times for Prometheus
5. `headers`: request headers that would cost much to parse; the host's name; security headers of the response
6. `blocked`: clients that the operator has blocked
7. `cors`: the origins whose pages may ask the models
8. `crosssite`: posts that another site's page sends are refused
9. `access`: who sends the request, and the scope that a view needs
10. `ratelimit`: what requests of one client may cost in a minute
11. `auditing`: a line in the audit log for each request that changed something
12. `admission`: a place for a large text body; views take their turns here too
13. `compression`: static files as gzip
14. `errors`: pages for people and problem details for programs
15. `language`: the language of the page
16. `session`: the signed cookie with this browser's results
"""

from flask import Flask

from inkling.config import Settings
from inkling.web.edge import (
    access,
    accesslog,
    admission,
    auditing,
    blocked,
    bodies,
    compression,
    cors,
    crosssite,
    errors,
    headers,
    language,
    proxies,
    ratelimit,
    session,
)


def install(app: Flask, settings: Settings) -> None:
    """Installs every part above in the app."""
    # Flask calls functions before a request in this order, and those after it in reverse.
    accesslog.init_app(app)
    headers.init_app(app, settings)
    blocked.init_app(app)
    cors.init_app(app, settings)
    crosssite.init_app(app)
    access.init_app(app, settings)
    ratelimit.init_app(app, settings)
    auditing.init_app(app, settings)
    admission.init_app(app, settings)
    compression.init_app(app)
    errors.init_app(app, settings)
    language.init_app(app)
    session.init_app(app, settings)
    # These wrap the app as WSGI middleware: the last one meets a request first.
    bodies.init_app(app, settings)
    proxies.init_app(app, settings)
