//! What a tile needs, whether that was shown, and what the tile then must be.

use alloc::vec::Vec;

use super::{
    RefereeError, Row, SECTION, Shape, Tensor,
    kernel::{
        attend_first, attend_next, better, dot, gated, mix_factor, norm_factor, normed,
        score_scale, turned,
    },
    place::{CHOICES, CHUNK, Operator, Slice, Step, Tile, Trace},
    soft::{Number, Soft},
    tree::{OPERATORS, TILES, TOKENS, climb, crown, is_row, row_hash, tile_hash},
};
use crate::types::Hash;

/// What a tile is computed from, besides its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Results of earlier tiles, all of them to the left of the tile.
    pub inputs: Vec<Slice>,
    /// Leaves of the weights.
    pub rows: Vec<Row>,
}

/// Numbers, and what shows that they are under a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Bits, of whole tiles or of a whole leaf of the weights.
    pub values: Vec<u32>,
    /// Of a leaf of the weights, the neighbours from the leaf up. Of tiles: those of the range in the tree of its operator, then of the operator
    /// in that of its token, then of the token in that of the trace.
    pub path: Vec<Hash>,
}

fn long(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl Trace {
    /// Whether a tile is computed from the token at its position.
    pub fn reads_token(&self, tile: Tile) -> bool {
        self.operator(tile.token, tile.operator) == Some(Operator::Embed)
    }

    /// What a tile is computed from. `token` is the one at its position; only [`Trace::reads_token`] tiles look at it.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] if there is no such tile, or no such token in the vocabulary.
    pub fn needs(&self, tile: Tile, token: u32) -> Result<Needs, RefereeError> {
        let len = self.tile_len(tile).ok_or(RefereeError::NoPlace)?;
        let operator = self.operator(tile.token, tile.operator).ok_or(RefereeError::NoPlace)?;
        let (at, index, shape) = (tile.token, tile.index, self.shape());
        let Shape { layers, width, head_dim, hidden, .. } = *shape;
        let entering = |layer: u32| match layer.checked_sub(1) {
            None => Operator::Embed,
            Some(before) => Operator::Layer(before, Step::Down),
        };
        let row = |tensor, index| Row { tensor, index };
        let all = |operator, len| self.slice(at, operator, 0, len);
        // A row of a matrix times a whole vector.
        let product = |tensor, operator, len| Needs {
            inputs: Vec::from([all(operator, len)]),
            rows: Vec::from([row(tensor, index)]),
        };
        let head =
            |operator, head: u32| self.slice(at, operator, head.saturating_mul(head_dim), head_dim);
        Ok(match operator {
            Operator::Embed => {
                if token >= shape.vocab {
                    return Err(RefereeError::NoPlace);
                }
                Needs { inputs: Vec::new(), rows: Vec::from([row(Tensor::Embedding, token)]) }
            }
            Operator::Norm => Needs {
                inputs: Vec::from([all(entering(layers), width)]),
                rows: Vec::from([row(Tensor::Norm, 0)]),
            },
            Operator::Logits => {
                let tensor = if shape.tied { Tensor::Embedding } else { Tensor::Head };
                product(tensor, Operator::Norm, width)
            }
            Operator::Choose => {
                let first = index.saturating_mul(CHOICES);
                let len = Shape::section_len(shape.vocab, index, CHOICES);
                let mut inputs = Vec::from([self.slice(at, Operator::Logits, first, len)]);
                if let Some(before) = index.checked_sub(1) {
                    inputs.push(self.whole_tile(at, Operator::Choose, before));
                }
                Needs { inputs, rows: Vec::new() }
            }
            Operator::Layer(layer, step) => {
                let of = |step| Operator::Layer(layer, step);
                match step {
                    Step::AttentionNorm => Needs {
                        inputs: Vec::from([all(entering(layer), width)]),
                        rows: Vec::from([row(Tensor::AttentionNorm(layer), 0)]),
                    },
                    Step::FeedNorm => Needs {
                        inputs: Vec::from([all(of(Step::Output), width)]),
                        rows: Vec::from([row(Tensor::FeedNorm(layer), 0)]),
                    },
                    Step::Query => product(Tensor::Query(layer), of(Step::AttentionNorm), width),
                    Step::Key => product(Tensor::Key(layer), of(Step::AttentionNorm), width),
                    Step::Value => product(Tensor::Value(layer), of(Step::AttentionNorm), width),
                    Step::Gate => product(Tensor::Gate(layer), of(Step::FeedNorm), width),
                    Step::Up => product(Tensor::Up(layer), of(Step::FeedNorm), width),
                    Step::TurnQuery | Step::TurnKey => {
                        let from = if step == Step::TurnQuery { Step::Query } else { Step::Key };
                        Needs {
                            inputs: Vec::from([head(of(from), index)]),
                            rows: Vec::from([row(Tensor::Cos, at), row(Tensor::Sin, at)]),
                        }
                    }
                    Step::Attend => self.attend_needs(tile, layer),
                    Step::Mix => {
                        // The head's last state.
                        let states = at.saturating_add(1);
                        let last = index.saturating_mul(states).saturating_add(at);
                        Needs {
                            inputs: Vec::from([self.whole_tile(at, of(Step::Attend), last)]),
                            rows: Vec::new(),
                        }
                    }
                    Step::Output => {
                        let mut needs =
                            product(Tensor::Output(layer), of(Step::Mix), shape.queries());
                        needs.inputs.push(self.slice(at, entering(layer), index, 1));
                        needs
                    }
                    Step::Act => {
                        let first = index.saturating_mul(CHUNK);
                        let part = |step| self.slice(at, of(step), first, len);
                        Needs {
                            inputs: Vec::from([part(Step::Gate), part(Step::Up)]),
                            rows: Vec::new(),
                        }
                    }
                    Step::Parts => {
                        let section = index.checked_rem(shape.sections()).unwrap_or(0);
                        let first = section.saturating_mul(SECTION);
                        let len = Shape::section_len(hidden, section, SECTION);
                        Needs {
                            inputs: Vec::from([self.slice(at, of(Step::Act), first, len)]),
                            rows: Vec::from([row(Tensor::Down(layer), index)]),
                        }
                    }
                    Step::Down => {
                        let (first, sections) = (index.saturating_mul(CHUNK), shape.sections());
                        let parts = self.slice(
                            at,
                            of(Step::Parts),
                            first.saturating_mul(sections),
                            len.saturating_mul(sections),
                        );
                        let before = self.slice(at, of(Step::Output), first, len);
                        Needs { inputs: Vec::from([before, parts]), rows: Vec::new() }
                    }
                }
            }
        })
    }

    /// The head's query, the position's key and values, and the state before it if there is one.
    fn attend_needs(&self, tile: Tile, layer: u32) -> Needs {
        let Shape { heads, kv_heads, head_dim, .. } = *self.shape();
        let of = |step| Operator::Layer(layer, step);
        let states = tile.token.saturating_add(1);
        let head = tile.index.checked_div(states).unwrap_or(0);
        let position = tile.index.checked_rem(states).unwrap_or(0);
        let group = heads.checked_div(kv_heads).unwrap_or(1);
        let kv_head = head.checked_div(group.max(1)).unwrap_or(0);
        let first = kv_head.saturating_mul(head_dim);
        let mut inputs = Vec::from([
            self.whole_tile(tile.token, of(Step::TurnQuery), head),
            self.whole_tile(position, of(Step::TurnKey), kv_head),
            self.slice(position, of(Step::Value), first, head_dim),
        ]);
        if position > 0 {
            inputs.push(self.whole_tile(
                tile.token,
                of(Step::Attend),
                tile.index.saturating_sub(1),
            ));
        }
        Needs { inputs, rows: Vec::new() }
    }

    /// Numbers that the opening of a slice has.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] if there are no such tiles.
    pub fn opened_len(&self, slice: &Slice) -> Result<u32, RefereeError> {
        let Slice { token, operator, first, tiles, .. } = *slice;
        let tile =
            |index| self.tile_len(Tile { token, operator, index }).ok_or(RefereeError::NoPlace);
        // All tiles but the last of an operator have the same length.
        let regular = tile(first)?;
        let last = tile(first.saturating_add(tiles).checked_sub(1).ok_or(RefereeError::NoPlace)?)?;
        Ok(regular.saturating_mul(tiles.saturating_sub(1)).saturating_add(last))
    }

    /// Checks that numbers are those of a slice's tiles under a trace's root. `number` names the opening in the error.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`], [`RefereeError::Count`], [`RefereeError::Path`].
    pub fn check_opening(
        &self,
        root: &Hash,
        slice: &Slice,
        opening: &Opening,
        number: usize,
    ) -> Result<(), RefereeError> {
        let Slice { token, operator, first, tiles: _, .. } = *slice;
        let due = long(self.opened_len(slice)?);
        let found = opening.values.len();
        if found != due {
            return Err(RefereeError::Count { what: "numbers of a slice", found, due });
        }
        let regular =
            self.tile_len(Tile { token, operator, index: first }).ok_or(RefereeError::NoPlace)?;
        let names = opening.values.chunks(long(regular).max(1)).map(tile_hash).collect();
        let tiles = self.tiles(token, operator).ok_or(RefereeError::NoPlace)?;
        let operators = self.operators(token);
        let mut path = opening.path.iter();
        let found = climb(tiles, first, names, &mut path)
            .map(|top| crown(TILES, tiles, &top))
            .and_then(|name| climb(operators, operator, Vec::from([name]), &mut path))
            .map(|top| crown(OPERATORS, operators, &top))
            .and_then(|name| climb(self.tokens(), token, Vec::from([name]), &mut path))
            .map(|top| crown(TOKENS, self.tokens(), &top));
        if found.as_ref() != Some(root) || path.next().is_some() {
            return Err(RefereeError::Path(number));
        }
        Ok(())
    }

    /// The numbers that a tile must have, by what was shown: `inputs` under the trace's root, `rows` under the weights', in the order of
    /// [`Trace::needs`].
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] if there is no such tile; [`RefereeError::Count`] and [`RefereeError::Path`] if not exactly what is needed was
    /// shown.
    pub fn judge(
        &self,
        root: &Hash,
        weights_root: &Hash,
        tile: Tile,
        token: u32,
        inputs: &[Opening],
        rows: &[Opening],
    ) -> Result<Vec<u32>, RefereeError> {
        let needs = self.needs(tile, token)?;
        same_count("openings of tiles", inputs.len(), needs.inputs.len())?;
        same_count("openings of weights", rows.len(), needs.rows.len())?;
        for (number, (slice, opening)) in needs.inputs.iter().zip(inputs).enumerate() {
            self.check_opening(root, slice, opening, number)?;
        }
        for (number, (row, opening)) in needs.rows.iter().zip(rows).enumerate() {
            self.shape().check_row(weights_root, *row, opening, number)?;
        }
        let inputs =
            needs.inputs.iter().zip(inputs).map(|(slice, opening)| read(slice, &opening.values));
        let inputs: Vec<&[u32]> = inputs.collect();
        let rows: Vec<&[u32]> = rows.iter().map(|opening| &opening.values[..]).collect();
        self.recompute(tile, &inputs, &rows)
    }

    /// The numbers of a tile from those that it needs, in soft numbers: what was read of each slice, and the leaves of the weights.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] if there is no such tile; [`RefereeError::Count`] if something is missing or of another length.
    pub fn recompute(
        &self,
        tile: Tile,
        inputs: &[&[u32]],
        rows: &[&[u32]],
    ) -> Result<Vec<u32>, RefereeError> {
        let operator = self.operator(tile.token, tile.operator).ok_or(RefereeError::NoPlace)?;
        let len = self.tile_len(tile).ok_or(RefereeError::NoPlace)?;
        if operator == Operator::Choose {
            return chosen(tile.index, inputs);
        }
        let soft = |all: &[&[u32]]| -> Vec<Vec<Soft>> {
            all.iter()
                .map(|bits| bits.iter().map(|bits| Soft::from_bits(*bits)).collect())
                .collect()
        };
        let (inputs, rows) = (soft(inputs), soft(rows));
        let inputs: Vec<&[Soft]> = inputs.iter().map(Vec::as_slice).collect();
        let rows: Vec<&[Soft]> = rows.iter().map(Vec::as_slice).collect();
        let values = computed(self, operator, tile, &inputs, &rows).unwrap_or_default();
        same_count("numbers of a tile", values.len(), long(len))?;
        Ok(values.into_iter().map(Soft::to_bits).collect())
    }
}

impl Shape {
    /// Checks that numbers are a leaf of the weights under their root. `number` names the opening in the error.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`], [`RefereeError::Count`], [`RefereeError::Path`].
    pub fn check_row(
        &self,
        weights_root: &Hash,
        row: Row,
        opening: &Opening,
        number: usize,
    ) -> Result<(), RefereeError> {
        let index = self.leaf(row).ok_or(RefereeError::NoPlace)?;
        same_count("numbers of a row", opening.values.len(), long(self.row_len(row)))?;
        let name = row_hash(&opening.values);
        if is_row(weights_root, self.leaves(), index, name, &opening.path) {
            Ok(())
        } else {
            Err(RefereeError::Path(number))
        }
    }
}

fn same_count(what: &'static str, found: usize, due: usize) -> Result<(), RefereeError> {
    if found == due { Ok(()) } else { Err(RefereeError::Count { what, found, due }) }
}

/// What a slice reads of its tiles' numbers.
fn read<'a>(slice: &Slice, values: &'a [u32]) -> &'a [u32] {
    let rest = values.get(long(slice.skip)..).unwrap_or_default();
    rest.get(..long(slice.len)).unwrap_or_default()
}

/// A tile of the choice: the best of the tile before and of its own logits.
fn chosen(index: u32, inputs: &[&[u32]]) -> Result<Vec<u32>, RefereeError> {
    let missing = RefereeError::Count { what: "logits", found: 0, due: 1 };
    let (logits, before) = match (inputs, index) {
        ([logits], 0) => (logits, None),
        ([logits, [value, token]], 1..) => (logits, Some((Soft::from_bits(*value), *token))),
        _ => return Err(missing),
    };
    let first = index.saturating_mul(CHOICES);
    let own = (first..).zip(logits.iter()).map(|(token, bits)| (Soft::from_bits(*bits), token));
    let (value, token) = before.into_iter().chain(own).reduce(better).ok_or(missing)?;
    Ok(Vec::from([value.to_bits(), token]))
}

/// `None` when what it needs is not there.
fn computed(
    trace: &Trace,
    operator: Operator,
    tile: Tile,
    inputs: &[&[Soft]],
    rows: &[&[Soft]],
) -> Option<Vec<Soft>> {
    let shape = trace.shape();
    let product = || match (inputs, rows) {
        ([x, ..], [row]) if x.len() == row.len() => Some(dot(row, x)),
        _ => None,
    };
    let normal = || match (inputs, rows) {
        ([x], [weights]) if x.len() == weights.len() => {
            let factor = norm_factor(x, Soft::from_bits(shape.norm_eps));
            Some(x.iter().zip(*weights).map(|(x, weight)| normed(*x, factor, *weight)).collect())
        }
        _ => None,
    };
    match operator {
        Operator::Embed => {
            let [row] = rows else { return None };
            let first = long(tile.index.saturating_mul(CHUNK));
            Some(row.iter().skip(first).take(long(CHUNK)).copied().collect())
        }
        Operator::Norm | Operator::Layer(_, Step::AttentionNorm | Step::FeedNorm) => normal(),
        Operator::Logits
        | Operator::Layer(
            _,
            Step::Query | Step::Key | Step::Value | Step::Gate | Step::Up | Step::Parts,
        ) => product().map(|value| Vec::from([value])),
        Operator::Layer(_, Step::TurnQuery | Step::TurnKey) => {
            let ([x], [cos, sin]) = (inputs, rows) else { return None };
            let (low, high) = x.split_at_checked(cos.len())?;
            let angles = cos.iter().zip(*sin);
            let pairs = low.iter().zip(high).zip(angles);
            let pairs = pairs.map(|((a, b), (cos, sin))| turned(*a, *b, *cos, *sin));
            let (mut low, high): (Vec<Soft>, Vec<Soft>) = pairs.unzip();
            low.extend(high);
            Some(low)
        }
        Operator::Layer(_, Step::Attend) => {
            let scale = score_scale(shape.head_dim);
            match inputs {
                [q, k, v] => {
                    let mut state = Vec::from([Soft::ZERO, Soft::ZERO]);
                    state.extend_from_slice(v);
                    attend_first(&mut state, q, k, v, scale);
                    Some(state)
                }
                [q, k, v, before] => {
                    let mut state = before.to_vec();
                    attend_next(&mut state, q, k, v, scale);
                    Some(state)
                }
                _ => None,
            }
        }
        Operator::Layer(_, Step::Mix) => {
            let [[_, sum, values @ ..]] = inputs else { return None };
            let factor = mix_factor(*sum);
            Some(values.iter().map(|value| value.times(factor)).collect())
        }
        Operator::Layer(_, Step::Output) => {
            let [_, [before]] = inputs else { return None };
            product().map(|value| Vec::from([before.plus(value)]))
        }
        Operator::Layer(_, Step::Act) => {
            let [gate, up] = inputs else { return None };
            Some(gate.iter().zip(*up).map(|(gate, up)| gated(*gate, *up)).collect())
        }
        Operator::Layer(_, Step::Down) => {
            let [before, parts] = inputs else { return None };
            let sections = parts.chunks(long(shape.sections()).max(1));
            let sum = |(before, parts): (&Soft, &[Soft])| {
                before.plus(parts.iter().copied().reduce(Soft::plus).unwrap_or(Soft::ZERO))
            };
            Some(before.iter().zip(sections).map(sum).collect())
        }
        Operator::Choose => None,
    }
}
