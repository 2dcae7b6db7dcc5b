"""The application that the middlewares are put around."""

from __future__ import annotations

import asyncio
import sys

import uvicorn
from fastapi import FastAPI, HTTPException

app = FastAPI()


@app.post("/models/{name}/predict")
async def predict(name: str, seconds: float = 0.0, fail: bool = False) -> dict[str, str]:
    """Answer after so many seconds, or fail."""
    await asyncio.sleep(seconds)
    if fail:
        raise HTTPException(500)
    return {"model": name}


def run() -> None:
    """Serve on the port that the first argument says."""
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
