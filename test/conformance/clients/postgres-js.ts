/** Battery for postgres.js (`postgres`); prints what a client sees, in parts. */
for (const file of ["values", "sessions"]) await import(`./postgres-js/${file}.ts`);
process.exit(0);
