use alloc::format;

use plasma_proto::cosmos::upgrade::v1beta1::{MsgCancelUpgrade, MsgSoftwareUpgrade, Plan};

use crate::{Address, Sdk, params};

/// Longest name of an upgrade, bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest text for those who carry it out, bytes.
const INFO_BYTES_MAX: usize = 2_048;
const PLAN_GAS: u64 = 60_000;
const CANCEL_GAS: u64 = 40_000;

/// Plans an upgrade, in governance's name alone.
#[derive(Clone, Debug)]
pub struct PlanUpgrade {
    pub(super) plan: Plan,
}

impl PlanUpgrade {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgSoftwareUpgrade) -> Result<Self, Sdk> {
        let MsgSoftwareUpgrade { authority, plan } = msg;
        params::check_authority(&authority)?;
        let plan = plan.ok_or_else(|| Sdk::InvalidRequest("plan is missing".into()))?;
        check_plan(&plan)?;
        Ok(Self { plan })
    }

    /// Who must sign: governance.
    pub fn signer(&self) -> Address {
        params::authority()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        PLAN_GAS
    }
}

/// Takes the plan back, in governance's name alone.
#[derive(Clone, Debug)]
pub struct CancelUpgrade(pub(super) ());

impl CancelUpgrade {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCancelUpgrade) -> Result<Self, Sdk> {
        let MsgCancelUpgrade { authority } = msg;
        params::check_authority(&authority)?;
        Ok(Self(()))
    }

    /// Who must sign: governance.
    pub fn signer(&self) -> Address {
        params::authority()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        CANCEL_GAS
    }
}

/// A plan that can be carried out at its height.
#[expect(deprecated, reason = "the fields are in the message, and must be empty")]
pub(super) fn check_plan(plan: &Plan) -> Result<(), Sdk> {
    let Plan { name, time, height, info, upgraded_client_state } = plan;
    let bad = |why: alloc::string::String| Err(Sdk::InvalidRequest(why));
    if name.len() > NAME_BYTES_MAX || name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic())
    {
        return bad(format!("an upgrade's name has 1 to {NAME_BYTES_MAX} printable letters"));
    }
    if info.len() > INFO_BYTES_MAX {
        return bad(format!("info has at most {INFO_BYTES_MAX} bytes"));
    }
    if *height <= 0 {
        return bad("height must be greater than 0".into());
    }
    if time.is_some() || upgraded_client_state.is_some() {
        return bad("time-based upgrades and upgraded_client_state are deprecated".into());
    }
    Ok(())
}
