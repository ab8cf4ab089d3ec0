// A server of graphql-ws' protocol, which closes with codes of its own.
//
//     NODE_PATH=…/node_modules node graphql.cjs PORT
'use strict';

const { GraphQLObjectType, GraphQLSchema, GraphQLString } = require('graphql');
const { useServer } = require('graphql-ws/use/ws');
const { WebSocketServer } = require('ws');

const query = new GraphQLObjectType({
  name: 'Query', fields: { hello: { type: GraphQLString, resolve: () => 'world' } },
});
const port = Number(process.argv[2]);
const sockets = new WebSocketServer({ host: '127.0.0.1', port }, () => {
  console.log(sockets.address().port);
});
useServer({ schema: new GraphQLSchema({ query }), connectionInitWaitTimeout: 500 }, sockets);
process.stdin.resume().on('end', () => process.exit());
