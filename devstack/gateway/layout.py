"""The folders of functions and layers: in the source tree, or in the output of `sam build`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.gateway.errors import TemplateError
from devstack.gateway.template import load_template

__all__ = ["Layout"]


class Layout:
    """Folders of functions, layers and images for one template.

    With `built`, zip functions and layers are taken from `.aws-sam/build` beside the template; images have no
    build folder and always run from the source tree.
    """

    def __init__(self, template: Path, *, built: bool) -> None:
        self._source = template.parent.resolve()
        self.built = built
        self._build = self._source / ".aws-sam" / "build"
        self._built_resources: Mapping[str, Any] = {}
        if built:
            if not (self._build / "template.yaml").exists():
                raise TemplateError(f"{self._build} holds no build: run sam build first")
            self._built_resources = load_template(self._build / "template.yaml")["Resources"]

    def code(self, logical_id: str, uri: str) -> Path:
        """The folder that is /var/task on Lambda."""
        return self._folder(logical_id, "CodeUri", uri)

    def layer(self, logical_id: str, uri: str) -> Path:
        """The folder that is copied to /opt; in the source tree, the one that is put on sys.path instead."""
        return self._folder(logical_id, "ContentUri", uri)

    def source(self, uri: str) -> Path:
        """A folder of the source tree."""
        return (self._source / uri).resolve()

    def image(self, logical_id: str, metadata: Mapping[str, Any]) -> tuple[Path, str]:
        """The folder of an image function's Dockerfile, and the handler that its CMD names."""
        dockerfile = self._source / str(metadata.get("Dockerfile", "Dockerfile"))
        if not dockerfile.exists():
            dockerfile = self._source / str(metadata.get("DockerContext", ".")) / dockerfile.name
        if not dockerfile.exists():
            raise TemplateError(f"Resources.{logical_id}.Metadata: there is no Dockerfile {dockerfile}")
        commands = re.findall(r"^CMD\s+(\[.*\])\s*$", dockerfile.read_text(), re.MULTILINE)
        if not commands:
            raise TemplateError(f"Resources.{logical_id}: {dockerfile.name} has no CMD in JSON form")
        return dockerfile.parent, str(json.loads(commands[-1])[0])

    def _folder(self, logical_id: str, key: str, uri: str) -> Path:
        if self.built:
            properties = self._built_resources.get(logical_id, {}).get("Properties", {})
            folder = self._build / str(properties.get(key, logical_id))
        else:
            folder = self._source / uri
        if not folder.is_dir():
            raise TemplateError(f"Resources.{logical_id}.Properties.{key}: there is no folder {folder}")
        return folder.resolve()
