"""`python -m appliance` is `meteor-appliance`."""

from appliance.cli import main

if __name__ == "__main__":
    main()
