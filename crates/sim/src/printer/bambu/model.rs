//! What differs between the models, as far as a client can see it: codes of OpenBambuAPI and
//! ha-bambulab, habits of the doors as their users reported them.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A model of Bambu Lab.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// As people write it.
    pub name: &'static str,
    /// As the printer writes it itself.
    pub code: &'static str,
    pub firmware: &'static str,
    pub reports: Reports,
    pub camera: Camera,
    pub unit: Unit,
    pub tls: Tls,
    pub data: DataChannel,
    /// The stage that it says when it does nothing. That of an A1 is the one of printing.
    pub idle_stage: i64,
    pub has_chamber: bool,
    /// By `fun`, and answers to what it will not do. A P1 does neither, and shows a message.
    pub tells_abilities: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reports {
    /// Everything, each time.
    Whole,
    /// What has changed.
    Changes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Camera {
    /// JPEG pictures at port 6000.
    Pictures,
    /// RTSP, which is not simulated.
    Rtsp,
}

/// The newest version of TLS that it speaks; the oldest is 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    To12,
    To13,
}

/// What feeds it filament beside the external spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    /// Four trays.
    Ams,
}

/// What a printer wants of the channel that carries a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataChannel {
    Any,
    /// It must continue the TLS session of the control channel, as vsftpd of X1 and P1 wants it.
    SameSession,
    /// Nothing ever happens on a protected one: seen with an A1.
    HangsProtected,
}

impl Tls {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::To12 => &TO12,
            Self::To13 => &TO13,
        }
    }
}

impl Model {
    /// By its name or code, in any case and with or without a space; an A1 for what is unknown.
    pub(super) fn named(name: &str) -> &'static Self {
        let plain = |text: &str| text.replace([' ', '-', '_'], "").to_lowercase();
        let wanted = plain(name);
        let wanted = wanted.strip_prefix("bambulab").unwrap_or(&wanted);
        let mut all = MODELS.iter();
        let found = all.find(|model| plain(model.name) == wanted || plain(model.code) == wanted);
        found.unwrap_or(&MODELS[0])
    }
}

const fn small(name: &'static str, code: &'static str, unit: Unit) -> Model {
    Model {
        name,
        code,
        firmware: "01.05.00.00",
        reports: Reports::Changes,
        camera: Camera::Pictures,
        unit,
        tls: Tls::To13,
        data: DataChannel::Any,
        idle_stage: 0,
        has_chamber: false,
        tells_abilities: true,
    }
}

const fn p1(name: &'static str, code: &'static str, unit: Unit) -> Model {
    Model {
        firmware: "01.08.02.00",
        tls: Tls::To12,
        data: DataChannel::SameSession,
        idle_stage: 255,
        tells_abilities: false,
        ..small(name, code, unit)
    }
}

const fn large(name: &'static str, code: &'static str, firmware: &'static str) -> Model {
    Model {
        firmware,
        reports: Reports::Whole,
        camera: Camera::Rtsp,
        tls: Tls::To12,
        data: DataChannel::SameSession,
        idle_stage: -1,
        has_chamber: true,
        ..small(name, code, Unit::Ams)
    }
}

static TO12: [&SupportedProtocolVersion; 1] = [&TLS12];
static TO13: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

const MODELS: &[Model] = &[
    small("A1", "N2S", Unit::Ams),
    small("A1 mini", "N1", Unit::None),
    p1("P1P", "C11", Unit::None),
    p1("P1S", "C12", Unit::Ams),
    large("X1", "BL-P002", "01.08.50.32"),
    large("X1C", "BL-P001", "01.08.50.32"),
    large("X1E", "C13", "01.01.50.00"),
    large("P2S", "N7", "01.00.01.00"),
    large("H2D", "O1D", "01.01.02.00"),
    large("H2S", "O1S", "01.01.00.00"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_as_people_write_them() {
        for (written, code) in
            [("A1 mini", "N1"), ("A1MINI", "N1"), ("Bambu Lab X1C", "BL-P001"), ("c12", "C12")]
        {
            assert_eq!(Model::named(written).code, code, "{written}");
        }
        assert_eq!(Model::named("A9000").name, "A1");
    }
}
