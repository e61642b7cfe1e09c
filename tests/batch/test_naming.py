import shutil

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.targets import make_targets
from tests.helpers.batch import crop_all


def outputs(plan, root):
    """Paths of all outputs relative to *root*."""
    return [
        output.file.relative_to(root).as_posix() for job in plan.jobs() for task in job.tasks for output in task.outputs
    ]


def test_names_follow_the_template(photo, tmp_path):
    """A template arranges its fields and can make folders; the label of a single number is a ratio to 1."""
    targets = make_targets(["1:1", "1.5"], [])
    plan = Plan.from_photos([photo], Options(targets, top=2, output=tmp_path / "out", name="{label}/{stem}{rank}"))
    assert outputs(plan, tmp_path / "out") == [
        "1x1/photo_1.jpg",
        "1x1/photo_2.jpg",
        "1.5x1/photo_1.jpg",
        "1.5x1/photo_2.jpg",
    ]


def test_format_is_the_extension_of_all_outputs(photo, tmp_path):
    """--format chooses the extension."""
    plan = Plan.from_photos([photo], Options(output=tmp_path / "out", format="WebP"))
    assert outputs(plan, tmp_path) == ["out/photo_crop.webp"]


def test_circle_of_a_jpeg_is_a_png(photo, tmp_path):
    """A format without transparency is replaced by one that has it."""
    options = Options(make_targets([], [], shape="circle"), shape="circle", output=tmp_path / "out")
    assert outputs(Plan.from_photos([photo], options), tmp_path) == ["out/photo_1x1.png"]


def test_colliding_outputs_get_distinct_names(engine, photo, tmp_path):
    """Two photos with the same name in two folders do not overwrite each other's crops."""
    other = tmp_path / "other" / "photo.jpg"
    other.parent.mkdir()
    other.write_bytes(photo.read_bytes())
    results = crop_all(engine, [photo, other], output=tmp_path / "out")
    assert [result.output.name for result in results] == ["photo_1x1.jpg", "photo_1x1-2.jpg"]
    assert all(result.status == "cropped" for result in results)


def test_outputs_differ_by_more_than_case(engine, photo, tmp_path):
    """Two photos whose names differ in case only get outputs that a case-insensitive file system can tell apart."""
    shutil.copy(photo, tmp_path / "PHOTO.jpg")
    results = crop_all(engine, [photo, tmp_path / "PHOTO.jpg"], output=tmp_path / "out")
    assert [result.output.name for result in results] == ["photo_1x1.jpg", "PHOTO_1x1-2.jpg"]


def test_folder_name_may_contain_a_dot(engine, photo, tmp_path):
    """Only the extension of a picture format makes -o a file."""
    (result,) = crop_all(engine, [photo], output=tmp_path / "out.v2")
    assert result.output == tmp_path / "out.v2" / "photo_1x1.jpg"
