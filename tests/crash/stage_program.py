"""The step of step_story.py that is a program: it writes what came, backwards."""

import json
import os
import signal
import sys
from pathlib import Path

STEPS = Path(os.environ["STORY_FOLDER"]) / "steps"

for line in sys.stdin:
    job = json.loads(line)
    data = Path(job["inputs"]["table"][0]["path"]).read_bytes()
    if "program-began" in os.environ["STORY_DEATHS"].split():
        try:
            os.close(os.open(STEPS / "died program-began", os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    Path(job["outputs"]["turned"]["path"]).write_bytes(data[::-1])
    print(json.dumps(job["parameters"]["n"]), flush=True)
