import re
import uuid

import pytest
from e2b import BuildException, Template, wait_for_port
from e2b.exceptions import SandboxException
from pytest import mark

SMALL = {"cpu_count": 1, "memory_mb": 512}


def name(what):
    return f"{what}-{uuid.uuid4().hex[:8]}"


async def say(flavor, template, command, **options):
    sandbox = await flavor.Sandbox.create(template)
    try:
        return (await sandbox.commands.run(command, **options)).stdout.strip()
    finally:
        await sandbox.kill()


@mark.proves("Template.build", "Template.exists", "Template.aliasExists")
async def test_build(flavor, tmp_path):
    """a template is built with commands, variables, users, directories and files, and its log says each step"""
    (tmp_path / "folder").mkdir()
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "folder" / "two.txt").write_text("two")
    (tmp_path / "folder" / "left.out").write_text("out")
    called = name("py-steps")
    assert await flavor.Template.exists(called) is False

    def template():
        return (
            Template(file_context_path=tmp_path, file_ignore_patterns=["**/*.out"])
            .from_template("base")
            .set_envs({"GREETING": "hello", "BOTH": "$GREETING world"})
            .make_dir("/home/user/made", mode=0o700)
            .run_cmd(['echo "$BOTH" > said.txt', "id -un > who.txt"])
            .run_cmd("id -un > /root-was-here", user="root")
            .make_symlink("said.txt", "linked.txt")
            .rename("who.txt", "whoever.txt")
            .remove("nothing-there", force=True)
            .copy("one.txt", "/data/")
            .copy("folder", "/folder", user="root", mode=0o700)
            .copy_items([{"src": "one.txt", "dest": "again.txt", "force_upload": True}])
            .set_user("builder")
            .set_workdir("/srv/app")
            .run_cmd("pwd > here.txt")
        )

    lines = []
    built = await flavor.Template.build(
        template(), called, on_build_logs=lambda entry: lines.append(f"{entry.level} {entry.message}"), **SMALL
    )
    assert re.fullmatch(r"[0-9a-f-]{36}", built.build_id)
    assert "Building template" in "\n".join(lines)
    assert "[builder 1/" in "\n".join(lines)
    of_steps = [line for line in lines if "[builder " in line]
    assert len(set(of_steps)) == len(of_steps) > 10
    for exists in (flavor.Template.exists, flavor.Template.alias_exists):
        assert await exists(called) is True
    command = (
        "pwd; id -un; echo $GREETING; cat here.txt; cd /home/user; cat said.txt linked.txt whoever.txt /root-was-here;"
        'cat /data/one.txt again.txt; echo; stat -c "%U %a %n" /folder made'
    )
    said = await say(flavor, called, command)
    assert said.split("\n") == [
        *("/srv/app", "builder", "hello", "/srv/app", "hello world", "hello world", "user", "root"),
        *("oneone", "root 700 /folder", "user 700 made"),
    ]
    assert await say(flavor, called, "ls /folder", user="root") == "two.txt"
    again = []
    await flavor.Template.build(
        template(), called, on_build_logs=lambda entry: again.append(entry.message), **SMALL
    )
    assert sum(line.startswith("CACHED [builder") for line in again) >= 8
    fresh = []
    await flavor.Template.build(
        template(), called, skip_cache=True, on_build_logs=lambda entry: fresh.append(entry.message), **SMALL
    )
    assert not any(line.startswith("CACHED [builder") for line in fresh)


@mark.proves("Template.buildInBackground", "Template.getBuildStatus")
@mark.needs("Template.build_in_background")
async def test_background(flavor, eventually):
    """a build in the background tells how far it is, and starts by its id"""
    called = name("py-background")
    template = Template().from_template("base").run_cmd(f"sleep 3; echo {called} is done")
    info = await flavor.Template.build_in_background(template, called, **SMALL)
    assert (await flavor.Template.get_build_status(info)).status.value == "building"
    with pytest.raises(SandboxException, match="does not exist"):
        await flavor.Sandbox.create(called)

    async def is_ready():
        return (await flavor.Template.get_build_status(info)).status.value == "ready"

    await eventually(is_ready, timeout=120)
    whole = await flavor.Template.get_build_status(info)
    assert f"{called} is done" in "\n".join(entry.message for entry in whole.log_entries)
    rest = await flavor.Template.get_build_status(info, logs_offset=len(whole.log_entries))
    assert rest.log_entries == []
    assert await say(flavor, f"{called}:{info.build_id}", "echo yes") == "yes"


@mark.proves("Template.assignTags", "Template.removeTags", "Template.getTags")
@mark.needs("Template.assign_tags")
async def test_tags(flavor):
    """tags are of builds, and sandboxes go by them"""
    called = name("py-tagged")

    def marked(text):
        return Template().from_template("base").run_cmd(f"echo {text} > /tmp/mark")

    one = await flavor.Template.build(marked("one"), f"{called}:v1", **SMALL)
    two = await flavor.Template.build(marked("two"), called, tags=["v2", "newest"], **SMALL)
    assert one.template_id == two.template_id
    assert await say(flavor, f"{called}:newest", "cat /tmp/mark") == "two"
    assigned = await flavor.Template.assign_tags(f"{called}:v1", ["production", "newest"])
    assert assigned.build_id == one.build_id
    assert assigned.tags == ["production", "newest"]
    assert await say(flavor, f"{called}:newest", "cat /tmp/mark") == "one"
    tags = await flavor.Template.get_tags(called)
    assert {tag.tag: tag.build_id for tag in tags} == {
        "v1": one.build_id,
        "production": one.build_id,
        "newest": one.build_id,
        "v2": two.build_id,
    }
    await flavor.Template.remove_tags(called, ["production", "v1"])
    assert sorted(tag.tag for tag in await flavor.Template.get_tags(called)) == ["newest", "v2"]
    for target in (f"{called}:", ":x"):
        with pytest.raises(Exception, match="400"):
            await flavor.Template.assign_tags(target, "x")
    with pytest.raises(Exception, match="400"):
        await flavor.Template.remove_tags(called, "default")
    with pytest.raises(Exception, match="404"):
        await flavor.Template.get_tags(name("nowhere"))


@mark.proves("Template.build")
async def test_start_command(flavor):
    """a start command runs in every sandbox, and a Dockerfile is built"""
    called = name("py-serving")
    template = (
        Template()
        .from_dockerfile("FROM e2bdev/base\nENV PORT=8000\nRUN echo hi > index.html\nUSER user\nWORKDIR /")
        .set_start_cmd("python3 -m http.server 8000", wait_for_port(8000))
    )
    await flavor.Template.build(template, called, **SMALL)
    assert await say(flavor, called, "echo $PORT; id -un; curl -s localhost:8000/index.html") == "8000\nuser\nhi"


@mark.proves("Template.build")
async def test_failures(flavor):
    """what fails says why, and leads to the line that asked for it"""
    begun = Template().from_template("base")
    with pytest.raises(BuildException, match="failed to run command 'exit 7': exit status 7") as failed:
        await flavor.Template.build(begun.run_cmd("exit 7"), name("py-failing"), **SMALL)
    assert any("test_templates.py" in str(entry.path) for entry in failed.traceback)
    wrong_user = Template().from_template("base").run_cmd("whoami", user="root123")
    expected = (
        "failed to run command 'whoami': command failed: unauthenticated: invalid username: 'root123'"
    )
    with pytest.raises(BuildException, match=re.escape(expected)):
        await flavor.Template.build(wrong_user, name("py-failing"), **SMALL)
    with pytest.raises(BuildException, match="no-such-image-anywhere"):
        await flavor.Template.build(Template().from_image("no-such-image-anywhere:1"), name("py-failing"))
    with pytest.raises(Exception, match="CPU count must be 1 or an even number"):
        await flavor.Template.build(begun, name("py-failing"), cpu_count=3)
    with pytest.raises(Exception, match="Memory must be divisible by 2"):
        await flavor.Template.build(begun, name("py-failing"), memory_mb=513)
