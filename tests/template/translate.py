"""SAM's own translation of a template, as JSON:  .local/sam/bin/python translate.py TEMPLATE '{"Stage": "dev"}'

The second argument holds parameters, of which SAM writes some into what it makes. Run by the interpreter that SAM
is installed for, which is not the tests' own.
"""

import json
import sys
from pathlib import Path

import yaml
from samcli.lib.translate.sam_template_validator import (  # type: ignore[import-not-found]
    SamTemplateValidator,
)
from samcli.yamlhelper import yaml_parse  # type: ignore[import-not-found]
from samtranslator.translator.managed_policy_translator import (  # type: ignore[import-not-found]
    ManagedPolicyLoader,
)

source = yaml_parse(Path(sys.argv[1]).read_text())
# No IAM client: the template names no policy of AWS's own, and asking for one is an error.
validator = SamTemplateValidator(
    source, ManagedPolicyLoader(None), region="ap-southeast-2", parameter_overrides=json.loads(sys.argv[2])
)
json.dump(yaml.safe_load(validator.get_translated_template_if_valid()), sys.stdout)
