//! What can be wrong with a line (`doc/markdown/interface.md`, "Grbl Response Messages").

/// A number behind `error:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u8);

impl Code {
    pub(super) const EXPECTED_LETTER: Self = Self(1);
    pub(super) const BAD_NUMBER: Self = Self(2);
    pub(super) const STATEMENT: Self = Self(3);
    pub(super) const NEGATIVE: Self = Self(4);
    pub(super) const SETTING_DISABLED: Self = Self(5);
    pub(super) const STEP_PULSE: Self = Self(6);
    pub(super) const NOT_IDLE: Self = Self(8);
    pub(super) const LOCKED: Self = Self(9);
    pub(super) const SOFT_LIMIT: Self = Self(10);
    pub(super) const OVERFLOW: Self = Self(11);
    pub(super) const DOOR: Self = Self(13);
    pub(super) const TRAVEL: Self = Self(15);
    pub(super) const JOG: Self = Self(16);
    pub(super) const UNSUPPORTED: Self = Self(20);
    pub(super) const MODAL_GROUP: Self = Self(21);
    pub(super) const NO_FEED: Self = Self(22);
    pub(super) const NOT_INTEGER: Self = Self(23);
    pub(super) const AXIS_CONFLICT: Self = Self(24);
    pub(super) const REPEATED: Self = Self(25);
    pub(super) const NO_AXIS: Self = Self(26);
    pub(super) const LINE_NUMBER: Self = Self(27);
    pub(super) const VALUE_MISSING: Self = Self(28);
    pub(super) const SYSTEM: Self = Self(29);
    pub(super) const MACHINE_MOTION: Self = Self(30);
    pub(super) const AXIS_UNUSED: Self = Self(31);
    pub(super) const NO_AXIS_IN_PLANE: Self = Self(32);
    pub(super) const TARGET: Self = Self(33);
    pub(super) const RADIUS: Self = Self(34);
    pub(super) const NO_OFFSET: Self = Self(35);
    pub(super) const UNUSED: Self = Self(36);
    pub(super) const TOOL_LENGTH_AXIS: Self = Self(37);
    pub(super) const MAX_VALUE: Self = Self(38);
}
