"""NetworkManager behind the network port: bus, profiles, attempts, hotspot; no state of the station."""
