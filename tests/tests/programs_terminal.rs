//! Programs by hand at a terminal: line editing, Ctrl-C, Ctrl-D, the size of the window.

use kernlet_tests::User;
use kernlet_tests::programs::{DOORS, seal};
use kernlet_tests::terminal::Terminal;

#[test]
fn sqlite3_is_used_by_hand_and_finds_its_data_again() {
    let image = seal("sqlite3", &[], "sqlite3-terminal");
    for door in DOORS {
        let user = User::ordinary();
        let volume = format!("{}:/data", user.folder("data").display());
        let run = ["run", "-b", door, "-v", &volume, &image, "/data/a.db"];
        let mut terminal = Terminal::start(&user, &run);
        terminal.shows("sqlite> ");
        terminal.types("create table t (n integer);\n");
        terminal.shows("sqlite> ");
        // A letter is taken back before the line is sent.
        terminal.types("insert into t valuesx\x7f (41), (1);\n");
        terminal.shows("sqlite> ");
        terminal.types("select 'sum ' || sum(n) from t;\n");
        terminal.shows("sum 42\r\n");
        terminal.types("select nonsense;\n");
        terminal.shows("no such column: nonsense");
        terminal.types("\x04");
        // Its status tells that there was an error.
        assert_eq!(terminal.ends(), 1, "{door}");
        let mut again = Terminal::start(&user, &run);
        again.shows("sqlite> ");
        again.types("select 'count ' || count(*) from t;\n.exit 3\n");
        again.shows("count 2\r\n");
        assert_eq!(again.ends(), 3, "{door}");
    }
}

#[test]
fn python3_is_used_by_hand() {
    let image = seal("/usr/bin/python3", &[], "python-terminal");
    for door in DOORS {
        let user = User::ordinary();
        let mut terminal = Terminal::start(&user, &["run", "-b", door, &image]);
        terminal.shows(">>> ");
        terminal.types("6 * 7\n");
        terminal.shows("\n42");
        terminal.shows(">>> ");
        // The cursor goes back over a digit, and the line is recalled.
        terminal.types("10 + 2\x1b[D\x1b[D\x1b[D\x1b[D5\n");
        terminal.shows("\n107");
        terminal.shows(">>> ");
        terminal.types("\x1b[A\n");
        terminal.shows("\n107");
        terminal.shows(">>> ");
        terminal.types("import os, sys; print('size', *os.get_terminal_size(), sys.stdin.isatty())\n");
        terminal.shows("\nsize 80 24 True");
        terminal.shows(">>> ");
        terminal.resize(100, 30);
        // The news takes its way, as it does on Linux.
        terminal.types("import time\n");
        terminal.shows(">>> ");
        terminal.types("while os.get_terminal_size().columns == 80: time.sleep(0.01)\n\n");
        terminal.shows(">>> ");
        terminal.types("print('then', *os.get_terminal_size())\n");
        terminal.shows("\nthen 100 30");
        terminal.shows(">>> ");
        terminal.types("while True: pass\n\n");
        terminal.shows("... ");
        std::thread::sleep(std::time::Duration::from_millis(500));
        terminal.types("\x03");
        terminal.shows("KeyboardInterrupt");
        terminal.shows(">>> ");
        terminal.types("sys.exit(5)\n");
        assert_eq!(terminal.ends(), 5, "{door}");
    }
}
