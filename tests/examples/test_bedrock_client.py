"""The example for boto3 and the aws command line, unmodified, with moto's server in the place of S3."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from tests.examples.workplace import Workplace, blocks

HEADER = "step_number,epoch_number,training_loss"


@pytest.fixture(scope="module")
def bedrock_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    storage = ThreadedMotoServer(port=0)
    storage.start()
    place = Workplace(tmp_path_factory.mktemp("bedrock") / "example", "bedrock_client")
    # Reward functions run in a sandbox, which has tests of its own and is missing on some machines that run these.
    place.environment["TUNEWARD_ALLOW_UNISOLATED"] = "1"
    place.ports["5000"] = str(storage.get_host_and_port()[1])
    server, keys, client, _ = blocks("bedrock_client")
    try:
        with place.serving(server):
            place.export(f"export {' '.join(place.run(keys[0]).split())}")
            for line in client:
                if line.startswith("export "):
                    place.export(line)
            place.run(client[-2].replace("160", "128"))
            yield place
    finally:
        storage.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_boto3_tunes_deploys_and_converses(bedrock_example: Workplace) -> None:
    said = bedrock_example.run(blocks("bedrock_client")[2][-1])
    job = r"Job arn:aws:bedrock:us-east-1:\d{12}:model-customization-job/tuneward.smollm2-135m/\w{12}"
    assert re.search(job, said), said
    assert HEADER in said
    assert re.search(r"arn:aws:bedrock:us-east-1:\d{12}:custom-model-deployment/\w{12}: ['\"]", said), said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_aws_command_line_does_too(bedrock_example: Workplace) -> None:
    if shutil.which("aws") is None:
        pytest.skip("needs the aws command line")
    said = bedrock_example.run(blocks("bedrock_client")[3][0])
    assert "Completed" in said
    assert HEADER in said
