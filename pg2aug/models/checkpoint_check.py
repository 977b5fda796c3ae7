"""Whether a model is fed as it was when its checkpoint was trained."""

import ast
import inspect
from collections.abc import Mapping
from typing import Any

from pg2aug.models.preprocessor import PG2DataPreprocessor

_NOT_COMPARED = ('type', '_scope_', 'metainfo')  # joints are compared where they are known by name


def check_preprocessor(
    model: Mapping[str, Any], content: Mapping[str, Any], checkpoint: str, config: str
) -> None:
    """Raise where a checkpoint was trained with other settings of the data preprocessor.

    Weights fit all the same, and what is synthesised is wrong. Checkpoints without the text of
    their config, in which MMEngine's Runner puts it, are not checked.

    Args:
        model: ``model`` of the config in use.
        content: What the checkpoint holds.
        checkpoint: Names it in errors.
        config: Names the config in errors.

    Raises:
        ValueError: With every setting that differs.
    """
    trained = _model_of((content.get('meta') or {}).get('cfg'))
    if trained is None:
        return
    ours, theirs = (_settings(m.get('data_preprocessor') or {}) for m in (model, trained))
    differing = [
        f'{name}={theirs.get(name)!r}, not {ours.get(name)!r}'
        for name in sorted(ours | theirs)
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise ValueError(
            f'checkpoint {checkpoint!r} was trained with other settings of model.data_preprocessor '
            f'than those of {config}: {", ".join(differing)}. Give the config it was trained with, '
            'which lies beside it'
        )


def _settings(preprocessor: Mapping[str, Any]) -> dict[str, Any]:
    """Its settings, those that are left out with their defaults."""
    parameters = inspect.signature(PG2DataPreprocessor).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    settings = {**defaults, **preprocessor}
    return {name: value for name, value in settings.items() if name not in _NOT_COMPARED}


def _model_of(text: str | None) -> dict[str, Any] | None:
    """``model`` in the text of a config, which is read and not run; None if it is not there."""
    try:
        for statement in ast.parse(text or '').body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == 'model':
                model: dict[str, Any] = _literal(statement.value)
                return model
    except (SyntaxError, ValueError):  # other programs' text
        pass
    return None


def _literal(node: ast.expr) -> Any:
    """A literal in which ``dict(a=1)`` may stand for ``{'a': 1}``."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        # MMEngine writes dict({0: ...}) where keys are no names.
        (positional,) = [_literal(value) for value in node.args] or [{}]
        return {**positional, **{k.arg: _literal(k.value) for k in node.keywords}}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_literal(key): _literal(value) for key, value in pairs if key is not None}
    return ast.literal_eval(node)
