"""SQL, and only here: tables, guards, the connection, appending and reading."""
