"""The names and numbers of NetworkManager's D-Bus interface that this room uses; nothing is called here.

Source: NetworkManager's nm-dbus-interface.h and its D-Bus specification, unchanged from 1.42 to 1.58.
"""

from __future__ import annotations

from enum import IntEnum

SERVICE = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop"
"""Where the object manager is."""
MANAGER_PATH = "/org/freedesktop/NetworkManager"
SETTINGS_PATH = "/org/freedesktop/NetworkManager/Settings"

MANAGER = SERVICE
DEVICE = SERVICE + ".Device"
WIRELESS = SERVICE + ".Device.Wireless"
ACCESS_POINT = SERVICE + ".AccessPoint"
ACTIVE = SERVICE + ".Connection.Active"
IP4_CONFIG = SERVICE + ".IP4Config"
IP6_CONFIG = SERVICE + ".IP6Config"
SETTINGS = SERVICE + ".Settings"
CONNECTION = SERVICE + ".Settings.Connection"

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
DBUS = "org.freedesktop.DBus"
DBUS_PATH = "/org/freedesktop/DBus"

SUPPLICANT = "fi.w1.wpa_supplicant1"
SUPPLICANT_INTERFACE = "fi.w1.wpa_supplicant1.Interface"

NOTHING = "/"
"""How D-Bus writes: no object."""

WIFI_TYPE = "802-11-wireless"
ETHERNET_TYPE = "802-3-ethernet"
LOOPBACK_TYPE = "loopback"
WIFI_DEVICE = 2

FREQUENCIES_KNOWN = 0x100
CAPABLE_OF = {"2.4": 0x200, "5": 0x400}
"""NMDeviceWifiCapabilities: whether the driver tells the bands of its radio, and which."""


class DeviceState(IntEnum):
    """NMDeviceState."""

    UNKNOWN = 0
    UNMANAGED = 10
    UNAVAILABLE = 20
    DISCONNECTED = 30
    PREPARE = 40
    CONFIG = 50
    NEED_AUTH = 60
    IP_CONFIG = 70
    IP_CHECK = 80
    SECONDARIES = 90
    ACTIVATED = 100
    DEACTIVATING = 110
    FAILED = 120


class ActiveState(IntEnum):
    """NMActiveConnectionState."""

    UNKNOWN = 0
    ACTIVATING = 1
    ACTIVATED = 2
    DEACTIVATING = 3
    DEACTIVATED = 4


class Reason(IntEnum):
    """NMDeviceStateReason, as far as a verdict depends on it."""

    NONE = 0
    UNKNOWN = 1
    NOW_UNMANAGED = 3
    CONFIG_FAILED = 4
    IP_CONFIG_UNAVAILABLE = 5
    IP_CONFIG_EXPIRED = 6
    NO_SECRETS = 7
    SUPPLICANT_DISCONNECT = 8
    SUPPLICANT_CONFIG_FAILED = 9
    SUPPLICANT_FAILED = 10
    SUPPLICANT_TIMEOUT = 11
    DHCP_START_FAILED = 15
    DHCP_ERROR = 16
    DHCP_FAILED = 17
    FIRMWARE_MISSING = 35
    REMOVED = 36
    SLEEPING = 37
    CONNECTION_REMOVED = 38
    USER_REQUESTED = 39
    CARRIER = 40
    SSID_NOT_FOUND = 53
    NEW_ACTIVATION = 60
    IP_ADDRESS_DUPLICATE = 64


class Connectivity(IntEnum):
    """NMConnectivityState; UNKNOWN unless someone has switched NetworkManager's own check on."""

    UNKNOWN = 0
    NONE = 1
    PORTAL = 2
    LIMITED = 3
    FULL = 4


# NM80211ApFlags and NM80211ApSecurityFlags
AP_PRIVACY = 0x1
KEY_PSK = 0x100
KEY_8021X = 0x200
KEY_SAE = 0x400
KEY_OWE = 0x800
KEY_OWE_TM = 0x1000
KEY_EAP_SUITE_B_192 = 0x2000

MODE_INFRASTRUCTURE = 2
"""NM80211Mode of an access point that one can join."""

# NMSettingsAddConnection2Flags and NMSettingsUpdate2Flags
TO_DISK = 0x1
IN_MEMORY = 0x2
BLOCK_AUTOCONNECT = 0x20

DELETE_NEW_CONNECTIONS = 0x2
"""NMCheckpointCreateFlags: a rollback removes the profiles that came after the checkpoint."""

PMF_DEFAULT, PMF_DISABLE, PMF_REQUIRED = 0, 1, 3
POWERSAVE_DISABLE = 2
TERNARY_TRUE = 1
