//! The operator's commands, and what becomes of mistakes.

use anyhow::{Context, Result, ensure};

use crate::{flow, start};

#[test]
fn an_operator_moves_and_mistakes_have_a_line_and_a_status() -> Result<()> {
    let (_lab, _vm, agent) = start(&[])?;
    agent.cli_ok(&["bind", "10.0.0.77", "--site", "dc1", "--static"])?;
    agent.cli_ok(&["move", "10.0.0.77", "--site", "dc2"])?;
    let bound = flow(&agent, "10.0.0.77")?.context("the bound address")?;
    assert_eq!(
        (&bound["site"], &bound["state"]),
        (&"dc2".into(), &"static".into())
    );
    let unknown = agent.cli(&["move", "10.0.0.77", "--site", "dc9"])?;
    assert_eq!(unknown.status.code(), Some(1));
    let line = String::from_utf8_lossy(&unknown.stderr).into_owned();
    ensure!(
        line.contains("there is no site dc9") && line.lines().count() == 1,
        "{line}"
    );
    assert_eq!(
        agent
            .cli(&["move", "nonsense", "--site", "dc1"])?
            .status
            .code(),
        Some(2)
    );
    agent.cli_ok(&["unbind", "10.0.0.77"])?;
    ensure!(flow(&agent, "10.0.0.77")?.is_none(), "it is forgotten");
    Ok(())
}
