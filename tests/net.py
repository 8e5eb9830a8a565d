"""Talking to a real server."""


def ask(connection, method, path, body=None, headers=None):
    """(status, headers, body) of one request on a connection of its own."""
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
