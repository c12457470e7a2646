"""Inspect's sandbox on E2B: a whole evaluation in a template that is built from a Dockerfile; the model's answers are given."""

import tempfile
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash
from inspect_ai.util import sandbox

# The stock template under the name that E2B's SDKs have for its image, so that no registry is asked.
DOCKERFILE = """FROM e2bdev/base
WORKDIR /srv/task
COPY question.txt .
RUN echo built > mark
"""
COMMAND = "cd /srv/task && grep -q seven question.txt && cat mark && echo 42 > answer.txt && wc -c < extra.txt"


@scorer(metrics=[accuracy()])
def answered():
    async def score(state, target):
        text = await sandbox().read_file("/srv/task/answer.txt")
        ran = await sandbox().exec(["tr", "a-z", "A-Z"], input="said", user="user")
        return Score(value=float(text.strip() == target.text and ran.stdout == "SAID"))

    return score


def given(output: ModelOutput) -> ModelOutput:
    # Counted already, as counting needs a file from the internet.
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


with tempfile.TemporaryDirectory() as name:
    (Path(name) / "Dockerfile").write_text(DOCKERFILE)
    (Path(name) / "question.txt").write_text("six times seven")
    model = get_model(
        "mockllm/model",
        custom_outputs=[
            given(ModelOutput.for_tool_call("mockllm/model", "bash", {"command": COMMAND})),
            given(ModelOutput.from_content("mockllm/model", "done")),
        ],
    )
    task = Task(
        dataset=[Sample(input="?", target="42", files={"/srv/task/extra.txt": "more"})],
        solver=[use_tools(bash(timeout=60)), generate()],
        scorer=answered(),
        sandbox=("e2b", str(Path(name) / "Dockerfile")),
    )
    [log] = eval(task, model=model, log_dir=str(Path(name) / "logs"), display="none")
    assert log.status == "success", log.error
    [sample] = log.samples
    assert sample.messages[2].text == "built\n4\n", sample.messages
    assert sample.scores["answered"].value == 1.0, sample.scores
print("all done")
