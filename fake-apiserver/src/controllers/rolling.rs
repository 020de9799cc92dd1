//! The arithmetic of rolling updates.

use apimachinery::value::Value;

/// Which way a percentage is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Down,
}

/// `3`, or `"25%"` of `total`. Anything else is 0, as for an absent field.
pub(crate) fn int_or_percent(value: &Value, total: i64, round: Round) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let Some(percent) = value.as_str().and_then(|text| text.strip_suffix('%')?.trim().parse::<i64>().ok()) else {
        return 0;
    };
    let product = i128::from(percent) * i128::from(total);
    let quotient = match round {
        Round::Up => (product + 99).div_euclid(100),
        Round::Down => product.div_euclid(100),
    };
    i64::try_from(quotient).unwrap_or(i64::MAX)
}

/// A Deployment's room to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Pods above `spec.replicas`.
    pub(crate) surge: i64,
    /// Pods that may be missing.
    pub(crate) unavailable: i64,
}

impl Room {
    /// From `maxSurge` (rounded up) and `maxUnavailable` (rounded down); both 0 would never move, so one may then be missing.
    pub(crate) fn of(max_surge: &Value, max_unavailable: &Value, replicas: i64) -> Room {
        let surge = int_or_percent(max_surge, replicas, Round::Up);
        let mut unavailable = int_or_percent(max_unavailable, replicas, Round::Down);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Room { surge, unavailable: unavailable.min(replicas).max(0) }
    }
}

/// How many replicas the new ReplicaSet gets: as many as the surge leaves room for, and no more than are wanted.
pub(crate) fn new_replicas(wanted: i64, surge: i64, new: i64, all: i64) -> i64 {
    let room = wanted + surge - all;
    if room <= 0 { new } else { new + room.min(wanted - new) }
}

/// How many pods of old ReplicaSets may go: all above the least that must be available, not counting new pods that are not
/// available yet.
pub(crate) fn old_to_remove(all: i64, wanted: i64, unavailable: i64, new: i64, new_available: i64) -> i64 {
    (all - (wanted - unavailable) - (new - new_available)).max(0)
}

/// A ReplicaSet's share of a Deployment's scaling in the middle of a rollout: its part of the old total, of the new total.
/// `before` is the total (surge included) under which the ReplicaSet got its size.
pub(crate) fn proportion(size: i64, to_add: i64, added: i64, total: i64, before: i64) -> i64 {
    if size == 0 || to_add == 0 || to_add == added || before == 0 {
        return 0;
    }
    let exact = i128::from(size) * i128::from(total) * 2;
    let rounded = (exact + i128::from(before)).div_euclid(i128::from(before) * 2);
    let share = i64::try_from(rounded).unwrap_or(i64::MAX) - size;
    let allowed = to_add - added;
    if to_add > 0 { share.min(allowed) } else { share.max(allowed) }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn percentages_round_the_careful_way() {
        // deployment-lifecycle: 25% of 2 is one above (max-replicas 3) and none missing
        assert_eq!(Room::of(&json!("25%"), &json!("25%"), 2), Room { surge: 1, unavailable: 0 });
        assert_eq!(Room::of(&json!("25%"), &json!("25%"), 10), Room { surge: 3, unavailable: 2 });
        assert_eq!(Room::of(&json!(0), &json!(0), 4), Room { surge: 0, unavailable: 1 });
        assert_eq!(Room::of(&json!(1), &json!(7), 4), Room { surge: 1, unavailable: 4 });
        assert_eq!(Room::of(&json!("100%"), &Value::Null, 3), Room { surge: 3, unavailable: 0 });
    }

    #[test]
    fn new_replica_sets_grow_into_the_surge() {
        assert_eq!(new_replicas(2, 1, 0, 2), 1);
        assert_eq!(new_replicas(2, 1, 1, 3), 1, "no room left");
        assert_eq!(new_replicas(10, 3, 0, 0), 10, "never more than wanted");
    }

    #[test]
    fn old_pods_go_when_new_ones_are_available() {
        assert_eq!(old_to_remove(3, 2, 0, 1, 0), 0, "the new pod is not available yet");
        assert_eq!(old_to_remove(3, 2, 0, 1, 1), 1);
        assert_eq!(old_to_remove(10, 10, 2, 0, 0), 2);
    }

    #[test]
    fn scaling_in_a_rollout_keeps_proportions() {
        // 10 + 2 surge became 20 + 4: 8 of 12 become 16 of 24, 4 of 12 become 8
        assert_eq!(proportion(8, 12, 0, 24, 12), 8);
        assert_eq!(proportion(4, 12, 8, 24, 12), 4);
        assert_eq!(proportion(4, 0, 0, 24, 12), 0);
        assert_eq!(proportion(8, -6, 0, 6, 12), -4);
    }
}
