exports.handle = async (event, context) => {
  const name = event.name ?? event.queryStringParameters?.name ?? "world";
  console.log(`greeting ${name}, ${context.getRemainingTimeInMillis()} ms left`);
  return { message: `Hello, ${name}!` };
};
