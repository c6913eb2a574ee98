"""The procedures as a person would do them by hand, in English and Spanish.

Each step: where, what (in both languages), and the commands, whose holes are the plan's names.
Commands are typed as root on the server that the step names; what they do in a folder that is
another user's, they do as that user.
"""

from tasks.byhand.by_hand_gone import (
    BEFORE_IT_BOOTS,
    CLOSE_FILES,
    FILES_HOME,
    POWER_OFF,
    REPLICATE_AGAIN,
    SEE_WHAT_IS_LOST,
    SERVE_AT_ORIGIN,
    START_ORIGIN,
)
from tasks.byhand.by_hand_home import (
    CLOSE_RECOVERY,
    COMPARE_BACK,
    DNS_TO_ORIGIN,
    FILES_BACK,
    FOLLOW,
    FOLLOW_AGAIN,
    GUARD_OUT,
    HIDE_SITE,
    HOLD_ORIGIN,
    KEEP_ASIDE,
    OPEN_FILES,
    PREPARE_LEADER,
    PROMOTE_ORIGIN,
    RECLONE,
    RESUME,
    REWIND,
)
from tasks.byhand.by_hand_out import (
    COMPARE,
    DNS_TO_RECOVERY,
    FENCE,
    KEEP_DOWN,
    LAST_FILES,
    PAUSE,
    PROMOTE,
    SHOW_SITE,
    START_ODOO,
    STOP_ODOO_AT_ORIGIN,
    STOP_ORIGIN,
)
from tasks.byhand.by_hand_step import Step

# What has no meaning for an instance that has no domains in the inventory.
OF_DOMAINS = (SHOW_SITE, HIDE_SITE, DNS_TO_RECOVERY, DNS_TO_ORIGIN)
SHOW = (PROMOTE, START_ODOO, SHOW_SITE, DNS_TO_RECOVERY)
SERVE = (*SHOW, KEEP_DOWN)
HAND_OVER = (
    OPEN_FILES,
    FILES_BACK,
    CLOSE_RECOVERY,
    COMPARE_BACK,
    GUARD_OUT,
    PROMOTE_ORIGIN,
    DNS_TO_ORIGIN,
    HIDE_SITE,
    FOLLOW_AGAIN,
    RESUME,
)
STEPS: dict[tuple[str, str], tuple[Step, ...]] = {
    ("failover", "planned"): (
        PAUSE, STOP_ODOO_AT_ORIGIN, LAST_FILES, STOP_ORIGIN, COMPARE, *SERVE,
    ),
    ("failover", "forced"): (FENCE, PAUSE, *SERVE),
    ("failback", "follow"): (HOLD_ORIGIN, PREPARE_LEADER, FOLLOW, *HAND_OVER),
    ("failback", "rewind"): (
        HOLD_ORIGIN, KEEP_ASIDE, PREPARE_LEADER, REWIND, FOLLOW, *HAND_OVER,
    ),
    ("failback", "reclone"): (HOLD_ORIGIN, PREPARE_LEADER, RECLONE, FOLLOW, *HAND_OVER),
    ("switchover", "planned"): (
        PAUSE, STOP_ODOO_AT_ORIGIN, LAST_FILES, STOP_ORIGIN, COMPARE, *SHOW, PREPARE_LEADER, FOLLOW,
    ),
    ("switchover home", "planned"): HAND_OVER,
    ("recovery is gone", "forced"): (
        POWER_OFF, GUARD_OUT, START_ORIGIN, SEE_WHAT_IS_LOST, SERVE_AT_ORIGIN, DNS_TO_ORIGIN,
        BEFORE_IT_BOOTS, OPEN_FILES, FILES_HOME, CLOSE_FILES, REPLICATE_AGAIN,
    ),
}  # fmt: skip
