"""Analyses, plots and claims of a study: those that the config chooses, and what each of them requires."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from variability import registry
from variability.config import plugin_choice, prerequisites
from variability.config.specs import sorted_keys
from variability.config.study import Study

Options = dict[str, Mapping[str, Any]]
#: Analyses and claims that use the study's ``margins``, as an option that the config cannot set.
WITH_MARGINS = {"decisions", "overall", "best_seed_optimism", "seeds_needed"}


@dataclass(frozen=True)
class Outputs:
    """Tables, figures and claims that a study makes of its runs."""

    study: Study

    @cached_property
    def base_tables(self) -> tuple[str, ...]:
        """Names of the base tables that the study has."""
        return prerequisites.base_tables(self.study)

    @cached_property
    def analyses(self) -> Options:
        """Options of the analyses by name: of those that are chosen, and of those that plots and claims read."""
        readers = [registry.find("plots", name) for name in self.plots]
        readers += [registry.find("claims", name) for name in self.claims]
        required = {name: {} for reader in readers for name in reader.ANALYSES}
        options = sorted_keys(required | self._chosen("analyses"))
        return self._with_margins(options)

    @cached_property
    def plots(self) -> Options:
        """Options of the chosen plots by name."""
        return self._chosen("plots")

    @cached_property
    def claims(self) -> Options:
        """Options of the chosen claims by name."""
        return self._with_margins(self._chosen("claims"))

    def _with_margins(self, options: Options) -> Options:
        """Return options of plug-ins with the study's ``margins`` for those that use them."""
        margins = self.study.config.get("margins")
        chosen = options.keys() & WITH_MARGINS if margins else ()
        return {**options, **{name: {**options[name], "margins": margins} for name in chosen}}

    def unmet(self, family: str, name: str) -> list[str]:
        """Return descriptions of what an analysis, a plot or a claim requires and the study does not have."""
        plugin = registry.find(family, name)
        plugins = [plugin, *(registry.find("analyses", analysis) for analysis in getattr(plugin, "ANALYSES", ()))]
        required = {each for plugin in plugins for key in ("NEEDS", "REQUIRES") for each in getattr(plugin, key, ())}
        return [str(prerequisites.DESCRIPTIONS.get(each, each)) for each in sorted(required - self._met)]

    @cached_property
    def _met(self) -> frozenset[str]:
        return prerequisites.met_by(self.study)

    def _chosen(self, family: str) -> Options:
        """Return the options of the chosen plug-ins of a family by name.

        If the config does not list them, those are the plug-ins whose requirements the study meets. Of plots and claims
        only those whose analyses are chosen: switching an analysis off switches off what reads it.
        """
        default = [name for name in registry.names(family) if registry.find(family, name).DEFAULT]
        if family != "analyses":
            analyses = set(self._chosen("analyses"))
            default = [name for name in default if analyses >= set(registry.find(family, name).ANALYSES)]
        default = [name for name in default if not self.unmet(family, name)]
        return sorted_keys(plugin_choice.chosen(self.study.config.get(family), default))
