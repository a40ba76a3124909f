"""The service: one bundle behind HTTP and MCP. `mammal serve` starts it; it needs the extra `serve`.

limits        what a request may ask for, and the errors of requests that are too large, too many or too late
requests      the fields of each verb
asking        a request to a question with its rows; answers back to a table
batching      the thread that runs the model; rows of several requests in one batch
service       one request from its fields to its answer
app           routes of HTTP; `security`, `metrics`, `pages` belong to it
mcp_tools     the same verbs as tools of MCP
server        starts and stops all of it
"""
