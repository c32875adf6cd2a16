//! A simulated printer, and somebody who watches it by the driver.

use printer::{Command, Connection, Error, Order, PrinterState, Reason, Secret, Told};
use sim::printer::{Printer, Protocol, Spec};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// For everything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// With a file to print, which takes a few seconds.
pub(crate) async fn start(model: &str) -> Printer {
    start_at(model, 300.0).await
}

pub(crate) async fn start_at(model: &str, speed: f64) -> Printer {
    let mut spec = Spec::new(Protocol::Bambu, "bench");
    spec.model = model.into();
    spec.speed = speed;
    let printer = Printer::start(spec).await.unwrap();
    printer.put_file("box.gcode.3mf", b"no plate is looked at".to_vec());
    printer
}

pub(crate) fn connection(printer: &Printer) -> Connection {
    let spec = printer.spec();
    Connection {
        port: spec.port,
        files_port: spec.files_port,
        serial_number: spec.serial_number.clone(),
        secret: Secret::from(spec.secret.as_str()),
        ..Connection::new(printer::Protocol::Bambu, "127.0.0.1")
    }
}

/// Somebody who watches, and remembers what was told beside states.
pub(crate) struct Watcher {
    pub(crate) told: mpsc::Receiver<Told>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) task: JoinHandle<Error>,
    pub(crate) certificates: usize,
    pub(crate) files_told: usize,
    pub(crate) last: Option<PrinterState>,
}

impl Watcher {
    pub(crate) fn new(connection: Connection) -> Self {
        let (tell, told) = mpsc::channel(4);
        let (orders, mut incoming) = mpsc::channel(4);
        let task =
            tokio::spawn(async move { printer::watch(&connection, tell, &mut incoming).await });
        Self { told, orders, task, certificates: 0, files_told: 0, last: None }
    }

    /// The first state that fits.
    pub(crate) async fn until(&mut self, fits: impl Fn(&PrinterState) -> bool) -> PrinterState {
        let waiting = async {
            while let Some(told) = self.told.recv().await {
                match told {
                    Told::State(state) => {
                        let found = fits(&state);
                        self.last = Some((*state).clone());
                        if found {
                            return (*state).clone();
                        }
                    }
                    Told::Certificate(_) => self.certificates += 1,
                    Told::Files => self.files_told += 1,
                    Told::Still => {}
                    Told::Ended(_) => panic!("these printers have no history"),
                }
            }
            panic!("the connection ended; last was {:?}", self.last)
        };
        match timeout(PATIENCE, waiting).await {
            Ok(state) => state,
            Err(_) => panic!("no such state came"),
        }
    }

    pub(crate) async fn order(&mut self, command: Command) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.orders.send(Order { command, done }).await.unwrap();
        // States go on while an order is under way.
        timeout(PATIENCE, answer).await.unwrap().unwrap()
    }

    /// Why the connection ended.
    pub(crate) async fn end(mut self) -> Reason {
        let ending = async {
            while self.told.recv().await.is_some() {}
            self.task.await.unwrap()
        };
        timeout(PATIENCE, ending).await.unwrap().reason
    }
}

pub(crate) fn print_it() -> Command {
    let path = "/box.gcode.3mf".to_owned();
    Command::Start(Box::new(printer::Start { path, ..printer::Start::default() }))
}
