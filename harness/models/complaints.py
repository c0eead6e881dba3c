"""What is wrong with an endpoint, in words that say what to do about it.

Owns: the texts. Does not own: finding it out (`litellm`, `failures`).
"""

from __future__ import annotations

from typing import NamedTuple

from harness.errors import Problem
from harness.models.endpoint import LiteLLMConfig
from harness.models.failures import Failure
from harness.models.library import INSTALL


class Complaints(NamedTuple):
    """About one configured model."""

    name: str
    config: LiteLLMConfig

    @property
    def where(self) -> str:
        """The model's place in the configuration."""
        return f"models.{self.name}"

    @property
    def address(self) -> str:
        """The model, and where it is if that was said."""
        base = self.config.api_base
        return f"{self.config.model} at {base}" if base else self.config.model

    def missing_module(self) -> Problem:
        """Tool calls need a module that LiteLLM does not insist on."""
        return Problem("litellm", "needs the Python module mcp for tool calls", INSTALL)

    def missing_key(self, variable: str) -> Problem:
        """No key is in the environment."""
        what = f"environment variable {variable} is not set"
        return Problem(f"{self.where}.api_key_env", what, f"export {variable}=...")

    def unknown_provider(self) -> Problem:
        """The provider string means nothing to LiteLLM."""
        what = f"LiteLLM knows no provider of {self.config.model!r}; expected provider/model"
        return Problem(f"{self.where}.model", what)

    def unknown_price(self) -> Problem:
        """No price, but a budget."""
        where = f"{self.where}.prices"
        what = f"unknown price: neither the configuration nor LiteLLM's table prices {self.config.model!r}"
        hint = f"set {where}.input and {where}.output in USD per million tokens, 0 for a model that is free"
        return Problem(where, f"{what}, so a money budget cannot be kept", hint)

    def refused(self, failure: Failure, detail: str) -> Problem:
        """Key, permission, credit or address."""
        return Problem(self.where, f"{self.address} refused the call: {detail}", self._hint(failure))

    def not_accepted(self, detail: str) -> Problem:
        """The provider does not take requests of this form."""
        what = f"{self.address} does not accept the request: {detail}"
        return Problem(self.where, what, f"check {self.where}.model and {self.where}.extra")

    def _hint(self, failure: Failure) -> str:
        if failure.status == 404:
            base = self.config.api_base
            served = f"; {base}/models lists what is served" if base else ""
            return f"check {self.where}.model and {self.where}.api_base{served}"
        variable = self.config.api_key_env
        if variable:
            return f"check the key in {variable}"
        return f"name the key's variable in {self.where}.api_key_env"
