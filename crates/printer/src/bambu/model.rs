//! What differs from model to model. Codes are as in SSDP and in `get_version`
//! (OpenBambuAPI; ha-bambulab const.py).

use super::report::Module;

/// How the pictures of its camera are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameraKind {
    /// JPEGs over TLS at port 6000.
    Pictures,
    /// RTSP over TLS at port 322.
    Rtsp,
}

/// A model of printer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    codes: &'static [&'static str],
    /// How the serial numbers of this model begin.
    serials: &'static [&'static str],
    pub(super) camera: CameraKind,
    pub(super) chamber_sensor: bool,
    pub(super) chamber_heater: bool,
}

impl Model {
    /// Of a code such as `N2S`.
    pub(crate) fn coded(code: &str) -> Option<&'static Self> {
        ALL.iter().find(|model| model.codes.iter().any(|known| known.eq_ignore_ascii_case(code)))
    }

    fn named(name: &str) -> Option<&'static Self> {
        let short = name.trim().trim_start_matches("Bambu Lab").trim();
        let named = ALL.iter().find(|model| model.name.eq_ignore_ascii_case(short));
        named.or_else(|| Self::coded(short))
    }

    /// By what the printer says of itself, else by its serial number.
    pub(super) fn of(modules: &[Module], serial_number: &str) -> Option<&'static Self> {
        let said = modules.iter().find_map(|module| {
            Self::named(&module.product).or_else(|| Self::coded(&module.project))
        });
        said.or_else(|| {
            let fits = |model: &&Self| model.serials.iter().any(|s| serial_number.starts_with(s));
            ALL.iter().find(fits)
        })
    }
}

const BASE: Model = Model {
    name: "",
    codes: &[],
    serials: &[],
    camera: CameraKind::Rtsp,
    chamber_sensor: true,
    chamber_heater: false,
};
const PLAIN: Model = Model { camera: CameraKind::Pictures, chamber_sensor: false, ..BASE };
const HEATED: Model = Model { chamber_heater: true, ..BASE };

static ALL: [Model; 14] = [
    Model { name: "X1 Carbon", codes: &["BL-P001", "X1C"], serials: &["00M"], ..BASE },
    Model { name: "X1", codes: &["BL-P002"], serials: &["00W"], ..BASE },
    Model { name: "X1E", codes: &["C13"], serials: &["03W"], ..HEATED },
    Model { name: "P1P", codes: &["C11"], serials: &["01S"], ..PLAIN },
    Model { name: "P1S", codes: &["C12"], serials: &["01P"], ..PLAIN },
    Model { name: "P2S", codes: &["N7"], serials: &["22E"], ..BASE },
    Model { name: "A1", codes: &["N2S"], serials: &["039"], ..PLAIN },
    Model { name: "A1 mini", codes: &["N1"], serials: &["030"], ..PLAIN },
    Model { name: "A2L", codes: &["N9"], ..PLAIN },
    Model { name: "X2D", codes: &["N6"], ..HEATED },
    Model { name: "H2D", codes: &["O1D"], serials: &["094"], ..HEATED },
    Model { name: "H2D Pro", codes: &["O1E", "O2D"], serials: &["239"], ..HEATED },
    Model { name: "H2S", codes: &["O1S"], serials: &["093"], ..HEATED },
    Model { name: "H2C", codes: &["O1C", "O1C2"], serials: &["31B"], ..HEATED },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_what_it_says_or_by_its_serial_number() {
        let module = |project: &str, product: &str| Module {
            project: project.into(),
            product: product.into(),
            ..Module::default()
        };
        let name = |modules: &[Module], serial: &str| Model::of(modules, serial).map(|m| m.name);
        assert_eq!(name(&[module("", ""), module("", "Bambu Lab A1 mini")], "x"), Some("A1 mini"));
        assert_eq!(name(&[module("C12", "")], "x"), Some("P1S"));
        assert_eq!(name(&[module("", "")], "00M09A123400001"), Some("X1 Carbon"));
        assert_eq!(name(&[], "999"), None);
        assert_eq!(Model::coded("n2s").map(|m| m.name), Some("A1"));
        assert_eq!(Model::coded(""), None);
    }
}
