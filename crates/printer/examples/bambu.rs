//! The driver for Bambu printers by hand, against a printer or what plays one:
//! `bambu HOST:PORT:FILES_PORT SERIAL CODE probe | watch STATES | order WORD | list |
//! put FILE NAME | get PATH FILE FROM | delete PATH`

use data_encoding::HEXLOWER;
use printer::files::{self, Upload};
use printer::{Command, Connection, Error, Order, Protocol, Secret, Told};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::ExitCode;
use tokio::sync::{mpsc, oneshot, watch};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{:?}: {error}", error.reason);
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Result<(), Error> {
    let [place, serial, code, rest @ ..] = words else { return usage() };
    let mut parts = place.rsplitn(3, ':');
    let files_port = parts.next().and_then(|port| port.parse().ok()).unwrap_or(990);
    let port = parts.next().and_then(|port| port.parse().ok()).unwrap_or(8883);
    let connection = Connection {
        port,
        files_port,
        serial_number: (*serial).to_owned(),
        secret: Secret::from(*code),
        ..Connection::new(Protocol::Bambu, parts.next().unwrap_or("127.0.0.1"))
    };
    let (progress, _) = watch::channel(0);
    match rest {
        ["probe"] => println!("{:?}", printer::probe(&connection).await?),
        ["watch", states] => watch_it(connection, states.parse().unwrap_or(1), None).await?,
        ["order", word] => {
            let command = match *word {
                "pause" => Command::Pause,
                "resume" => Command::Resume,
                "stop" => Command::Stop,
                _ => Command::Light { on: *word == "light" },
            };
            watch_it(connection, 1, Some(command)).await?;
        }
        ["list"] => {
            for file in files::list(&connection).await? {
                println!("{:?} {:?} {:?}", file.path, file.bytes, file.changed_us);
            }
        }
        ["put", file, name] => {
            let content = tokio::fs::read(file).await.unwrap_or_default();
            let sha256 = HEXLOWER.encode(&Sha256::digest(&content));
            let bytes = content.len() as u64;
            let file = Path::new(file);
            let upload = Upload { file, name, bytes, sha256: &sha256, replace: true };
            println!("{:?}", files::upload(&connection, &upload, &progress).await?);
        }
        ["get", path, file, from] => {
            let from = from.parse().unwrap_or(0);
            let into = Path::new(file);
            println!("{}", files::download(&connection, path, into, from, &progress).await?);
        }
        ["delete", path] => files::delete(&connection, path).await?,
        _ => return usage(),
    }
    Ok(())
}

async fn watch_it(
    connection: Connection,
    states: usize,
    command: Option<Command>,
) -> Result<(), Error> {
    let (tell, mut told) = mpsc::channel(16);
    let (orders, mut incoming) = mpsc::channel(1);
    let task = tokio::spawn(async move { printer::watch(&connection, tell, &mut incoming).await });
    let mut left = states;
    while left > 0 {
        match told.recv().await {
            Some(Told::State(state)) => {
                left -= 1;
                println!("{}", serde_json::to_string(&*state).unwrap_or_default());
            }
            Some(other) => println!("{other:?}"),
            None => return Err(task.await.unwrap_or_else(|error| lost(&error))),
        }
    }
    if let Some(command) = command {
        let (done, answer) = oneshot::channel();
        orders.send(Order { command, done }).await.ok();
        answer.await.unwrap_or_else(|error| Err(lost(&error)))?;
        println!("done");
    }
    drop(orders);
    let end = task.await.unwrap_or_else(|error| lost(&error));
    println!("{end}");
    Ok(())
}

fn lost(error: &dyn std::fmt::Display) -> Error {
    Error::new(printer::Reason::Local, error.to_string())
}

fn usage() -> Result<(), Error> {
    Err(Error::new(printer::Reason::Unacceptable, "see the head of this example"))
}
