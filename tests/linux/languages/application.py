"""A Flask application, served by the WSGI server that comes with it."""
import threading

from flask import Flask, jsonify, request

application = Flask(__name__)
lock, seen = threading.Lock(), []


@application.get("/hello/<name>")
def hello(name):
    with lock:
        seen.append(name)
    return jsonify(greeting=f"hello, {name}", threads=threading.active_count() > 0)


@application.post("/sum")
def total():
    return jsonify(total=sum(request.get_json()["numbers"]))


@application.get("/seen")
def told():
    return jsonify(sorted(seen))


application.run(host="0.0.0.0", port=8000, threaded=True)
