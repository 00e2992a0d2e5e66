-- What Lua's library asks of the system.
local name = os.tmpname()
local file = assert(io.open(name, "w"))
for n = 1, 1000 do file:write(n, "\n") end
file:seek("set", 0)
file:write("first")
file:close()
local count, size = 0, 0
for line in io.lines(name) do count, size = count + 1, size + #line end
print("lines", count, size)
assert(os.rename(name, name .. ".moved"))
print("missing", select(2, io.open("/no/such/file")))
print("removed", os.remove(name .. ".moved"), io.open(name) == nil)
local maker = coroutine.wrap(function() for n = 1, 3 do coroutine.yield(n * n) end end)
print("coroutine", maker(), maker(), maker())
local parts = {}
for n = 1, 20000 do parts[n] = string.format("%05d", n) end
print("string", #table.concat(parts), (("x"):rep(10):gsub("x", "yz")))
print("integers", math.maxinteger, 7 // 2, 2 ^ 0.5, math.type(3.0), 0x7fffffffffffffff + 1)
print("caught", pcall(error, {}), select(2, pcall(function() error("inside", 0) end)))
collectgarbage()
print("time", os.time({ year = 2024, month = 2, day = 29, hour = 12 }) > 0, os.date("!%F %T", 1700000000), os.clock() >= 0)
print("environment", os.getenv("NONE"), arg[1], #arg)
io.stderr:write("said on standard error\n")
os.exit(8)
