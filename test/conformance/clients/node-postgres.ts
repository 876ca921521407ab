/** Battery for node-postgres (`pg`); prints what a client sees, in parts. */
for (const file of ["values", "messages", "sizes", "pools", "sessions"])
  await import(`./node-postgres/${file}.ts`);
process.exit(0);
