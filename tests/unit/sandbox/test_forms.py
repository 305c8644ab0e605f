"""Form-encoded parameters as Stripe reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox import forms
from services.sandbox.refusal import Refused


def test_brackets_make_dictionaries_and_lists() -> None:
    text = b"amount=5&metadata[a]=1&metadata[b]=&expand[]=x&expand[]=y&created[gte]=7"
    given_ = forms.parameters(text)
    assert given_["amount"] == "5"
    assert given_["metadata"] == {"a": "1", "b": ""}
    assert forms.expansions(given_) == ["x", "y"]
    assert given_["created"] == {"gte": "7"}


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ("a=1&a[b]=2", "a"),
        ("metadata=text", "metadata"),
        ("metadata[a][b]=1", "metadata[a]"),
        (f"metadata[{'k' * 41}]=1", f"metadata[{'k' * 41}]"),
        (f"metadata[k]={'v' * 501}", "metadata[k]"),
        ("&".join(f"metadata[k{n}]=1" for n in range(51)), "metadata"),
        ("amount=1.5", "amount"),
        ("amount=", "amount"),
        ("amount=²", "amount"),
        ("amount=--5", "amount"),
        (f"amount={'9' * 30}", "amount"),
        ("expand=x", "expand"),
    ],
)
def test_what_stripe_would_not_take_names_the_parameter(text: str, param: str) -> None:
    with pytest.raises(Refused) as caught:
        given_ = forms.parameters(text)
        forms.metadata(given_)
        forms.integer(given_, "amount")
        forms.expansions(given_)
    assert caught.value.status == 400
    assert caught.value.error["param"] == param


def test_the_digest_ignores_order_and_nothing_else() -> None:
    digest = forms.digest("/v1/refunds", forms.parameters("a=1&m[x]=2"))
    assert digest == forms.digest("/v1/refunds", forms.parameters("m[x]=2&a=1"))
    for path, text in (
        ("/v1/refunds", "a=1&m[x]=3"),
        ("/v1/refunds", "a=1&m[y]=2"),
        ("/v1/refunds", "a=1"),
        ("/v1/other", "a=1&m[x]=2"),
    ):
        assert digest != forms.digest(path, forms.parameters(text))


@given(st.binary(max_size=200))
def test_any_bytes_are_parameters_or_refused(body: bytes) -> None:
    try:
        given_ = forms.parameters(body)
        forms.metadata(given_)
        forms.integer(given_, "amount")
        forms.expansions(given_)
        forms.digest("/", given_)
    except Refused:
        return
