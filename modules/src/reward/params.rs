//! Numbers of the rewards, each with its bounds.

use alloc::format;

use plasma_proto::plasma::reward::v1::Params;

use super::Error;

const XPL: u64 = 1_000_000;

/// What a new chain starts with. Together at most 55 million XPL are ever made: five times what the
/// first year has of each.
pub fn default_params() -> Params {
    Params {
        epoch_s: 3_600,
        eta_bps: 8_000,
        emission_yearly_uxpl: 10_000_000 * XPL,
        standby_yearly_uxpl: 1_000_000 * XPL,
        decline_bps: 2_000,
        standby_slot_yearly_uxpl: 365 * XPL,
        payouts_per_block_max: 512,
        expiries_per_block_max: 512,
        epochs_kept: 720,
    }
}

/// Every number is within its bounds.
pub fn validate(params: &Params) -> Result<(), Error> {
    let Params {
        epoch_s,
        eta_bps,
        emission_yearly_uxpl,
        standby_yearly_uxpl,
        decline_bps,
        standby_slot_yearly_uxpl,
        payouts_per_block_max,
        expiries_per_block_max,
        epochs_kept,
    } = *params;
    let money_max = 1_000_000_000 * XPL;
    let bounds: [(&str, u64, u64, u64); 9] = [
        ("epoch_s", epoch_s, 60, 7 * 86_400),
        // Below the whole: whoever pays himself must lose what is burned, but for what it was made for.
        ("eta_bps", eta_bps.into(), 0, 9_500),
        ("emission_yearly_uxpl", emission_yearly_uxpl, 0, money_max),
        ("standby_yearly_uxpl", standby_yearly_uxpl, 0, money_max),
        // Above zero: what is ever made has an end.
        ("decline_bps", decline_bps.into(), 100, 10_000),
        ("standby_slot_yearly_uxpl", standby_slot_yearly_uxpl, 0, money_max),
        ("payouts_per_block_max", payouts_per_block_max.into(), 1, 10_000),
        ("expiries_per_block_max", expiries_per_block_max.into(), 1, 10_000),
        ("epochs_kept", epochs_kept.into(), 1, 10_000),
    ];
    for (name, value, min, max) in bounds {
        if !(min..=max).contains(&value) {
            return Err(Error::BadParams(format!("{name} is {value}, it must be {min} to {max}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        let good = default_params();
        validate(&good).unwrap();
        for bad in [
            Params { epoch_s: 59, ..good },
            Params { eta_bps: 9_501, ..good },
            Params { emission_yearly_uxpl: u64::MAX, ..good },
            Params { standby_yearly_uxpl: u64::MAX, ..good },
            Params { decline_bps: 0, ..good },
            Params { decline_bps: 10_001, ..good },
            Params { standby_slot_yearly_uxpl: u64::MAX, ..good },
            Params { payouts_per_block_max: 0, ..good },
            Params { expiries_per_block_max: 0, ..good },
            Params { epochs_kept: 0, ..good },
        ] {
            assert!(matches!(validate(&bad), Err(Error::BadParams(_))), "{bad:?}");
        }
    }
}
