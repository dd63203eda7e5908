"""`python -m cloud` is `meteor-cloud`."""

import sys

from cloud.cli import main

sys.exit(main())
