/// Why the referee cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefereeError {
    /// A dimension of a model out of its bounds.
    #[error("{field} is {value}: it must be {least} to {most}")]
    Dimension {
        /// Which.
        field: &'static str,
        /// Given.
        value: u32,
        /// Least allowed.
        least: u32,
        /// Most allowed.
        most: u32,
    },
    /// Dimensions that do not go together.
    #[error("{0}")]
    Shape(&'static str),
    /// More positions than the model has, or none.
    #[error(
        "a prompt of {n_prompt} and an output of {n_out} tokens: the model has {rows} positions, and neither is empty"
    )]
    Length {
        /// Tokens of the prompt.
        n_prompt: u32,
        /// Tokens of the output.
        n_out: u32,
        /// Positions of the model.
        rows: u32,
    },
    /// No such place in the trace.
    #[error("there is no such place in the trace")]
    NoPlace,
    /// Another number of numbers, openings or children.
    #[error("{found} {what}, {due} are due")]
    Count {
        /// Of what.
        what: &'static str,
        /// Given.
        found: usize,
        /// Needed.
        due: usize,
    },
    /// Numbers that are not those under the root.
    #[error("opening {0} is not under its root")]
    Path(usize),
}
