"""Tests of groups of tasks: tasks of a group count once over all tasks."""

import synthetic_study as synthetic

from variability.results import task_groups

CONFIG = {
    "tasks": {"mine": {"group": "digits"}, "other": {}},
    "imports": {"theirs": {"groups": {"digits": ["mnist-*", "usps"], "glue": "glue-*"}}},
}


def test_groups_come_from_tasks_and_imports():
    assert task_groups.of_config(CONFIG) == {"digits": ["mine", "mnist-*", "usps"], "glue": ["glue-*"]}
    assert task_groups.of_config({}) == {}


def test_a_task_without_a_group_is_its_own():
    runs = synthetic.runs(tasks=("mine", "mnist-3", "other"))
    grouped = task_groups.declared(runs, task_groups.of_config(CONFIG))
    assert task_groups.of_tasks(grouped) == {"mine": "digits", "mnist-3": "digits", "other": "other"}
    assert task_groups.of_tasks(runs) == {"mine": "mine", "mnist-3": "mnist-3", "other": "other"}


def test_a_name_with_brackets_is_itself():
    groups = task_groups.of_config({"tasks": {"arc[easy]": {"group": "arc"}}})
    assert task_groups.groups_of("arc[easy]", groups) == ["arc"]


def test_a_pattern_without_a_task_is_a_problem():
    tasks = ["mine", "other", "mnist-3", "usp", "glue-rte"]
    ((key, message),) = task_groups.problems(CONFIG, tasks)
    assert key == "imports.theirs.groups.digits" and "'usps' matches no task" in message and "usp" in message
    assert not list(task_groups.problems(CONFIG, None))


def test_a_task_in_two_groups_is_a_problem():
    config = CONFIG | {"tasks": {"mine": {"group": "pens"}, "mnist-3": {"group": "pens"}}}
    tasks = ["mine", "mnist-3", "usps", "glue-rte"]
    assert list(task_groups.problems(config, tasks)) == [
        ("tasks.mnist-3.group", "task 'mnist-3' is in the groups digits, pens; leave it in one of them")
    ]


def test_a_group_with_the_name_of_a_task_outside_it_is_a_problem():
    config = {
        "tasks": {"cifar-train": {"group": "cifar"}, "cifar": {}},
        "imports": {"x": {"groups": {"rte": "glue-*"}}},
    }
    message = "the group 'cifar' has the name of a task that is not in it; rename the group, or add the task"
    assert list(task_groups.problems(config, ["cifar", "cifar-train", "glue-rte"])) == [
        ("tasks.cifar-train.group", message)
    ]
    ((key, message),) = task_groups.problems(config, ["cifar-train", "glue-rte", "rte"])
    assert key == "imports.x.groups.rte" and "'rte'" in message
    # A group may have the name of one of its own tasks.
    own = {"tasks": {"cifar": {"group": "cifar"}, "cifar-train": {"group": "cifar"}}}
    assert not list(task_groups.problems(own, ["cifar", "cifar-train"]))
