"""What TorchServe calls for each batch of requests: a model that answers after so many seconds, or fails."""

import time


def handle(data, context):
    """Return an answer for each request; without data the model is only loaded."""
    if data is None:
        return None
    answers = []
    for row in data:
        asked = row["body"]
        time.sleep(asked.get("seconds", 0))
        if asked.get("fail"):
            raise ValueError("asked to fail")
        answers.append({"score": 0.5})
    return answers
