//! What the chain must know of a model to recompute it.

use plasma_proto::plasma::attestation::v1::{MsgSetRefereeResponse, RefereeModel};

use super::{Error, SetReferee, event::Event, state::REFEREES};
use crate::{Address, Ctx, market, types::hex};

/// The publisher says how its model is recomputed, once: another root of weights would make honest claims
/// false, and false ones safe.
pub fn set_referee(ctx: &mut Ctx<'_>, msg: SetReferee) -> Result<MsgSetRefereeResponse, Error> {
    let SetReferee { publisher, model_id, shape, weights_root, eos_tokens } = msg;
    let model = market::model(ctx.store, &model_id);
    let model = model.ok_or_else(|| Error::UnknownModel(hex(&model_id)))?;
    if Address::stored(&model.publisher) != publisher {
        return Err(Error::NotPublisher);
    }
    if let Some(stands) = REFEREES.get(ctx.store, &model_id) {
        return Err(Error::IsSet(stands.set_height));
    }
    let referee = RefereeModel {
        model_id: model_id.into(),
        shape: Some(shape),
        weights_root: weights_root.into(),
        eos_tokens,
        set_height: ctx.block.height,
    };
    REFEREES.set(ctx.store, &model_id, &referee);
    ctx.emit(&Event::RefereeSet { model_id, weights_root, publisher });
    Ok(MsgSetRefereeResponse {})
}
