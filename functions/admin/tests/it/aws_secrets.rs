//! Secrets that AWS keeps, asked for over its real protocol; what answers is a socket of the test's.

use crate::jam::{run, variables};
use jam_core::blob::Volume;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn secrets_come_from_parameter_store_and_secrets_manager_when_a_variable_names_them(pool: PgPool) {
    let directory = TempDir::new().unwrap();
    let mut variables = variables(&pool, directory.path().join("users"));
    Volume::initialize(&directory.path().join("users")).unwrap();
    let url = variables.remove("DATABASE_URL").unwrap();
    variables.insert(
        "DATABASE_URL_SECRET_ARN".to_owned(),
        "arn:aws:secretsmanager:eu-central-1:1:secret:db".to_owned(),
    );
    variables.insert("CLERK_SECRET_KEY_SSM".to_owned(), "/jam/clerk".to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let aws = [
        ("AWS_ENDPOINT_URL", format!("http://{}", listener.local_addr().unwrap())),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
    ];
    variables.extend(aws.map(|(name, value)| (name.to_owned(), value)));
    let (answer, asked) = tokio::join!(run(&variables, &["usage", "--json"]), answer_two(&listener, &url));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let parameter = &asked["AmazonSSM.GetParameter"];
    assert_eq!(*parameter, json!({ "Name": "/jam/clerk", "WithDecryption": true }));
    let secret = &asked["secretsmanager.GetSecretValue"];
    assert_eq!(*secret, json!({ "SecretId": "arn:aws:secretsmanager:eu-central-1:1:secret:db" }));
}

/// Answers two questions, each on a connection of its own; what was asked, by operation.
async fn answer_two(listener: &TcpListener, database_url: &str) -> BTreeMap<String, Value> {
    let mut asked = BTreeMap::new();
    while asked.len() < 2 {
        let (stream, _) = listener.accept().await.unwrap();
        let (operation, question) = answer(BufReader::new(stream), database_url).await;
        asked.insert(operation, question);
    }
    asked
}

async fn answer(mut stream: BufReader<TcpStream>, database_url: &str) -> (String, Value) {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    assert!(headers["authorization"].starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    let answer = match headers["x-amz-target"].as_str() {
        "AmazonSSM.GetParameter" => json!({ "Parameter": { "Value": "sk_test_from_parameter_store" } }),
        "secretsmanager.GetSecretValue" => json!({ "SecretString": database_url }),
        other => panic!("{other} was not to be asked"),
    }
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    (headers["x-amz-target"].clone(), serde_json::from_slice(&body).unwrap())
}
